// Shows the counts of this process.
const names = [...params.paths, 'other']
ctx.set('Cache-Control', 'no-store')
ctx.body = Object.fromEntries(names.map((name) => [name, store.get(`count-paths ${name}`) ?? 0]))
