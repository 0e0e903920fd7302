// Redirects requests from drained servers to another place.
if (params.servers.includes(server)) {
  exit(302, '', { Location: params.to + ctx.path + ctx.search, 'Cache-Control': 'no-store' })
}
