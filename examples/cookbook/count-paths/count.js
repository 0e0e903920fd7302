// Counts the responses of each path. Clients can make up any number of paths: those that are not listed count as one.
const path = params.paths.includes(ctx.path) ? ctx.path : 'other'
store.incr(`count-paths ${path}`)
