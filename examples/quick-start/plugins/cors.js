// Lets pages of other origins read the answers.
ctx.set('Access-Control-Allow-Origin', params.origin)
