import { expect, test } from 'vitest'
import { describeLua } from '../../../lib/background/compiling/lua.ts'

test.each([
  'ngx.say("hello world!")',
  'ngx.header["X-A"] = "b"',
  'return ngx.exit(ngx.HTTP_FORBIDDEN)',
  'local token = ngx.var.arg_token',
  '  local x',
  'if a then\n  b()\nend',
  'if a ~= b then c() end',
  'x ~= 1',
])('%j looks like Lua', (code) => {
  expect(describeLua(code)).toMatch(/looks like Lua.*JavaScript.*ctx, exit\(\) and say\(\)/)
})

test.each([
  'say("hello world!")',
  'const ngx = require("x"); ngx.say("hi")',
  'promise.then(next)',
  'const local = 1',
  'const end = 1\nlet x = end + 1',
  'ctx.set("X-Then", "then some")',
])('%j does not', (code) => {
  expect(describeLua(code)).toBeUndefined()
})
