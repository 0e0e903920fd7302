// Sends matching requests to another server.
ctx.state.upstream = upstreams[params.to]
