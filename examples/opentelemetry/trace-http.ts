// Spans of requests that come and of those that go. In place of this an app takes OpenTelemetry's instrumentations of http
// and undici.
import { channel } from 'node:diagnostics_channel'
import { type Span, SpanKind, type Tracer } from '@opentelemetry/api'
import type { Middleware } from 'koa'

/** A span for each request, as Koa middleware; mounted in front of everything. */
export function traceRequests(tracer: Tracer): Middleware {
  return (ctx, next) =>
    tracer.startActiveSpan(`${ctx.method} ${ctx.path}`, { kind: SpanKind.SERVER }, async (span) => {
      try {
        await next()
      } finally {
        span.setAttribute('http.response.status_code', ctx.status)
        span.end()
      }
    })
}

/** A span for each `fetch`. Returns what ends it. */
export function traceFetches(tracer: Tracer): () => void {
  const spans = new WeakMap<object, Span>()
  type Message = { readonly request: { readonly method: string; readonly path: string } }
  const begin = (message: unknown) => {
    const { request } = message as Message
    spans.set(request, tracer.startSpan(`fetch ${request.method} ${request.path}`, { kind: SpanKind.CLIENT }))
  }
  const end = (message: unknown) => spans.get((message as Message).request)?.end()
  const subscriptions = [
    ['undici:request:create', begin],
    ['undici:request:trailers', end],
    ['undici:request:error', end],
  ] as const
  for (const [name, subscriber] of subscriptions) channel(name).subscribe(subscriber)
  return () => {
    for (const [name, subscriber] of subscriptions) channel(name).unsubscribe(subscriber)
  }
}
