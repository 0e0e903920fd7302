// Lets in whoever brings the token, in the query or in the cookie that the first success sets.
const token = ctx.query.token ?? ctx.cookies.get('superstition')
if (token !== 'token') exit(403, 'Forbidden: no token\n')
ctx.cookies.set('superstition', token)
