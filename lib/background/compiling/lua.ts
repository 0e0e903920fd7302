/** Marks of the original's plugins: OpenResty's API, and keywords of Lua that JavaScript has in no such place. */
const LUA = /\bngx\s*\.|^\s*local\s+\w+|\bthen\s*$|\bthen\b[^;{}]*\bend\b|~=|^\s*end\s*$/m

/** A hint for people who bring their plugins along from lua-resty-dynacode; undefined when the code is no Lua. */
export function describeLua(code: string): string | undefined {
  if (!LUA.test(code) || /\b(?:const|let|var|function)\s+ngx\b/.test(code)) return undefined
  return 'this looks like Lua for OpenResty; dynacode runs JavaScript: write it with ctx, exit() and say()'
}
