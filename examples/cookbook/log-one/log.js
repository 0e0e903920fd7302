// Logs each matching request. No query, no cookie, no other header: they may contain secrets.
const line = {
  watched: params.watched,
  method: ctx.method,
  path: ctx.path.slice(0, 200),
  status: ctx.status,
  ip: ctx.ip,
  user_agent: ctx.get('User-Agent').slice(0, 200),
  finished: ctx.res.writableFinished,
}
console.log(JSON.stringify(line))
