// Sends a copy of the request to another server, after the response, without cookies and other secrets.
const under_way = store.incr('mirror')
try {
  if (under_way > params.at_most) return
  const answer = await fetch(upstreams.mirror + ctx.path + ctx.search, {
    method: ctx.method,
    headers: { Accept: ctx.get('Accept'), 'User-Agent': ctx.get('User-Agent'), 'X-Mirrored': '1' },
    redirect: 'manual',
  })
  await answer.body?.cancel()
} finally {
  store.incr('mirror', -1)
}
