// Redirects a path and everything below it, on the same host: two leading slashes would be another host.
const path = (params.to + ctx.path.slice(params.from.length)).replace(/^[/\\]+/, '/')
exit(308, '', { Location: path + ctx.search })
