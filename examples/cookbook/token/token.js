// Lets in whoever brings the token: in the query, or in the cookie that this then sets.
if (!secrets.token) throw new Error('there is no token to compare with')
const { createHash, timingSafeEqual } = process.getBuiltinModule('node:crypto')
const digest = (text) => createHash('sha256').update(text).digest()

const { token: asked, ...query } = ctx.query
const given = asked ?? ctx.cookies.get('token')
if (typeof given !== 'string' || !timingSafeEqual(digest(given), digest(secrets.token))) exit(403, 'a token, please\n')
if (asked !== undefined) {
  ctx.cookies.set('token', given, { sameSite: 'lax', secure: ctx.secure })
  // What the app logs of the address shall not have it.
  ctx.query = query
}
