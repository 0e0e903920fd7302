// Allows each address a number of requests per period.
const count = store.incr(`rate-limit ${ctx.ip}`, 1, 0, params.seconds)
if (count > params.limit) exit(429, 'too many requests\n', { 'Retry-After': String(params.seconds) })
