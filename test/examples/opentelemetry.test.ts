import { context, SpanStatusCode } from '@opentelemetry/api'
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { SharedContextManager } from '../../examples/opentelemetry/context-manager.ts'
import { traceRequests } from '../../examples/opentelemetry/trace-http.ts'
import { tracePlugins } from '../../examples/opentelemetry/trace-plugins.ts'
import { type PluginFields, plugin, startApp } from '../fixtures/app.ts'

describe('the spans of plugins', () => {
  const manager = new SharedContextManager()
  const exporter = new InMemorySpanExporter()
  const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] })
  const tracer = provider.getTracer('test')
  let untrace: () => void

  beforeEach(() => {
    context.setGlobalContextManager(manager.enable())
    untrace = tracePlugins(tracer, manager.storage)
  })

  afterEach(() => {
    untrace()
    context.disable()
    exporter.reset()
  })

  async function spansOf(...plugins: PluginFields[]): Promise<readonly ReadableSpan[]> {
    const span = () => void tracer.startSpan('inner').end()
    const { request } = await startApp({ plugins, outer: [traceRequests(tracer)], options: { globals: { span } } })
    await request.get('/')
    await expect.poll(() => exporter.getFinishedSpans().some(({ name }) => name === 'GET /')).toBe(true)
    return exporter.getFinishedSpans()
  }

  const named = (spans: readonly ReadableSpan[], name: string) => spans.find((span) => span.name === name)!

  test('are children of the request, one for each, and parents of what the plugin does', async () => {
    const spans = await spansOf(
      plugin('access', `await null; span()`, { name: 'a' }),
      plugin('header_filter', ``, { name: 'b' }),
    )
    const request = named(spans, 'GET /').spanContext()
    for (const name of ['access a', 'header_filter b']) {
      expect(named(spans, name).parentSpanContext?.spanId).toBe(request.spanId)
      expect(named(spans, name).spanContext().traceId).toBe(request.traceId)
    }
    expect(named(spans, 'inner').parentSpanContext?.spanId).toBe(named(spans, 'access a').spanContext().spanId)
    expect(named(spans, 'access a').attributes).toEqual({
      'dynacode.plugin': 'a',
      'dynacode.domain': '*',
      'dynacode.phase': 'access',
      'dynacode.shadow': false,
      'dynacode.outcome': 'done',
      'dynacode.sync_ms': expect.any(Number),
      'server.address': '127.0.0.1',
    })
  })

  test.each([
    ['at once', `throw new Error('broken')`],
    ['later', `await null; throw new Error('broken')`],
  ])('say that a plugin failed, %s, and with what', async (_what, code) => {
    const span = named(await spansOf(plugin('access', code, { name: 'a', on_failure: 'closed' })), 'access a')
    expect(span.status.code).toBe(SpanStatusCode.ERROR)
    expect(span.attributes['dynacode.outcome']).toBe('closed')
    expect(span.events[0]?.attributes).toMatchObject({ 'exception.message': 'broken' })
  })

  test('are ended even when what a plugin threw cannot be looked at', async () => {
    const code = `throw new Proxy({}, { get() { throw 1 }, getPrototypeOf() { throw 2 } })`
    const span = named(await spansOf(plugin('access', code, { name: 'a' })), 'access a')
    expect(span.status.code).toBe(SpanStatusCode.ERROR)
  })

  test('are there for refreshes, too', async () => {
    const spans = await spansOf()
    expect(named(spans, 'dynacode refresh').attributes).toMatchObject({ 'dynacode.occasion': 'poll' })
    expect(named(spans, 'dynacode refresh').attributes).toHaveProperty('dynacode.version')
  })
})
