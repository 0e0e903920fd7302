// Lets pages of these origins read the answers, errors included.
ctx.vary('Origin')
const origin = ctx.get('Origin')
if (params.origins.includes(origin)) ctx.set('Access-Control-Allow-Origin', origin)
