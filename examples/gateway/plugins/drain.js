// Takes servers out of service: nothing new goes to them.
const chosen = ctx.state.upstream ?? upstreams.blue
if (params.draining.some((name) => upstreams[name] === chosen)) ctx.state.upstream = upstreams[params.to]
