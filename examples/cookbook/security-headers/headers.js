// Sets headers that the app has not set itself.
for (const [name, value] of Object.entries(params.headers)) {
  if (!ctx.response.has(name)) ctx.set(name, value)
}
// Browsers accept it over TLS only.
if (ctx.secure && !ctx.response.has('Strict-Transport-Security')) ctx.set('Strict-Transport-Security', params.hsts)
