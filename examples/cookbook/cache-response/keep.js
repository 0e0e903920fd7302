// Caches public responses. It runs first in its phase, so that the other header filters run for each response.
if (!ctx.state.keep_as) return
const is_json = Array.isArray(ctx.body) || Object.getPrototypeOf(ctx.body ?? '') === Object.prototype
const body = is_json ? JSON.stringify(ctx.body) : ctx.body
const is_whole = typeof body === 'string' || Buffer.isBuffer(body)
const is_private = ['Set-Cookie', 'Vary', 'Content-Encoding'].some((name) => ctx.response.has(name))
const is_forbidden = /private|no-store|no-cache/i.test(ctx.response.get('Cache-Control'))
if (ctx.status === 200 && is_whole && !is_private && !is_forbidden) {
  if (body.length <= params.max_length) {
    store.set(ctx.state.keep_as, { type: ctx.response.get('Content-Type'), body }, params.seconds)
  }
}
