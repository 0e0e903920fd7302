// Sends the requests that it is for to another server.
ctx.state.upstream = upstreams[params.to]
