// Answers from the cache that keep.js fills. Only listed paths without a query: clients can make up any number of others.
if (params.paths.includes(ctx.path) && ctx.querystring === '') {
  const kept = store.get(`cache-response ${ctx.path}`)
  if (kept === undefined) {
    ctx.state.keep_as = `cache-response ${ctx.path}`
  } else {
    ctx.type = kept.type
    ctx.body = kept.body
  }
  ctx.set('X-Cache', kept === undefined ? 'miss' : 'hit')
}
