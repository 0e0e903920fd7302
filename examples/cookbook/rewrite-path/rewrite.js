// Changes the path that the app sees. The client's path stays in ctx.originalUrl.
ctx.path = params.to + ctx.path.slice(params.from.length)
