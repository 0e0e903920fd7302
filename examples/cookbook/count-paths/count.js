// Counts responses per path. Clients can make up any number of paths, so unlisted ones count as one.
const path = params.paths.includes(ctx.path) ? ctx.path : 'other'
store.incr(`count-paths ${path}`)
