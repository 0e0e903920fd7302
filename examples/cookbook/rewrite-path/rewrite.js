// Lets the app see another path than the client. What the client sent stays in ctx.originalUrl.
ctx.path = params.to + ctx.path.slice(params.from.length)
