// Allows pages of these origins to read responses, errors included.
ctx.vary('Origin')
const origin = ctx.get('Origin')
if (params.origins.includes(origin)) ctx.set('Access-Control-Allow-Origin', origin)
