// A span for each run of a plugin, and one for each refresh.
import type { AsyncLocalStorage } from 'node:async_hooks'
import { tracingChannel } from 'node:diagnostics_channel'
import { type Context, context, type Span, SpanStatusCode, type Tracer, trace } from '@opentelemetry/api'
import type { PluginRunMessage, RefreshMessage } from 'dynacode'

/**
 * Begins to make spans.
 *
 * @param storage where the context manager keeps the active context: what a plugin fetches becomes a child of its span
 * @returns ends it
 */
export function tracePlugins(tracer: Tracer, storage: AsyncLocalStorage<Context>): () => void {
  const endings = [
    traceChannel<PluginRunMessage>(
      'dynacode:plugin:run',
      storage,
      ({ plugin, phase, host, shadow }) => {
        const { name, domain } = plugin
        const attributes = {
          'dynacode.plugin': name,
          'dynacode.domain': domain,
          'dynacode.phase': phase,
          'dynacode.shadow': shadow,
          'server.address': host,
        }
        return tracer.startSpan(`${phase} ${name}`, { attributes })
      },
      (span, { outcome, sync_ms, error }) => {
        span.setAttributes({ 'dynacode.outcome': outcome, 'dynacode.sync_ms': sync_ms })
        if (outcome === 'open' || outcome === 'closed') fail(span, error)
      },
      ({ outcome }) => outcome !== undefined,
    ),
    traceChannel<RefreshMessage>(
      'dynacode:refresh',
      storage,
      ({ occasion }) => tracer.startSpan('dynacode refresh', { attributes: { 'dynacode.occasion': occasion } }),
      (span, { result, error }) => {
        if (result?.updated) span.setAttribute('dynacode.version', result.version)
        else span.setAttribute('dynacode.reason', result?.reason ?? 'unknown')
        if (error !== undefined) fail(span, error)
      },
      ({ result }) => result !== undefined,
    ),
  ]
  return () => {
    for (const end of endings) end()
  }
}

function traceChannel<M extends object>(
  name: string,
  storage: AsyncLocalStorage<Context>,
  begin: (message: M) => Span,
  finish: (span: Span, message: M) => void,
  isOver: (message: M) => boolean,
): () => void {
  const channel = tracingChannel<Context, M>(name)
  const spans = new WeakMap<object, Span>()
  const end = (message: M) => {
    const span = spans.get(message)
    if (span === undefined) return
    finish(span, message)
    span.end()
  }
  const subscribers = {
    // Of an asynchronous run this is only the end of its first part.
    end: (message: M) => isOver(message) && end(message),
    asyncEnd: end,
  }
  channel.start.bindStore(storage, (message) => {
    const span = begin(message)
    spans.set(message, span)
    return trace.setSpan(context.active(), span)
  })
  channel.end.subscribe(subscribers.end as never)
  channel.asyncEnd.subscribe(subscribers.asyncEnd as never)
  return () => {
    channel.start.unbindStore(storage)
    channel.end.unsubscribe(subscribers.end as never)
    channel.asyncEnd.unsubscribe(subscribers.asyncEnd as never)
  }
}

function fail(span: Span, error: unknown): void {
  span.setStatus({ code: SpanStatusCode.ERROR })
  try {
    span.recordException(error instanceof Error ? error : String(error))
  } catch {
    // A plugin may throw anything, and some of it throws when it is looked at. What a subscriber throws ends the process.
  }
}
