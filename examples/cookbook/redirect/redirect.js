// Sends what lies below one path to below another, on the same host: two slashes in front would be another host.
const path = (params.to + ctx.path.slice(params.from.length)).replace(/^[/\\]+/, '/')
exit(308, '', { Location: path + ctx.search })
