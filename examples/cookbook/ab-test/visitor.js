// Gives a new visitor an id in a cookie, valid from this request on.
const visitor = crypto.randomUUID()
ctx.cookies.set('visitor', visitor, { maxAge: params.days * 86_400_000, sameSite: 'lax', secure: ctx.secure })
ctx.req.headers.cookie = [ctx.get('Cookie'), `visitor=${visitor}`].filter(Boolean).join('; ')
