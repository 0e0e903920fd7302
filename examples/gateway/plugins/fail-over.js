// Goes elsewhere while a server is known to be failing (mark-failures.js says so).
const chosen = ctx.state.upstream ?? upstreams.blue
if (store.get(`failing:${chosen}`)) ctx.state.upstream = upstreams[params.to]
