// Allows requests with the token: in the query, or in the cookie that this plugin then sets.
if (!secrets.token) throw new Error('there is no token to compare with')
const { createHash, timingSafeEqual } = process.getBuiltinModule('node:crypto')
const digest = (text) => createHash('sha256').update(text).digest()

const { token: asked, ...query } = ctx.query
const given = asked ?? ctx.cookies.get('token')
if (typeof given !== 'string' || !timingSafeEqual(digest(given), digest(secrets.token))) exit(403, 'a token, please\n')
if (asked !== undefined) {
  ctx.cookies.set('token', given, { sameSite: 'lax', secure: ctx.secure })
  // Keeps the token out of the app's logs.
  ctx.query = query
}
