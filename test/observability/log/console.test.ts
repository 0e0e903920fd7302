import { expect, test, vi } from 'vitest'
import { createEvents, ownListener } from '../../../lib/events/emitter.ts'
import { startConsoleLog } from '../../../lib/observability/log/console.ts'

const plugin = { domain: 'a.com', name: 'token', phase: 'access', priority: 0, id: null } as never

function setUp(callbacks = {}) {
  const lines: string[] = []
  const to = (level: string) => (line: string) => void lines.push(`${level} ${line}`)
  const events = createEvents(callbacks)
  startConsoleLog(events, { info: to('info'), warn: to('warn'), error: to('error') })
  return { events, lines }
}

const failure = (message = 'no') =>
  ({
    plugin,
    phase: 'access',
    host: 'a.com',
    error: new Error(message),
    duration_ms: 0,
    sync_ms: 0,
    outcome: 'closed',
  }) as const

test('a plugin that fails is one line that says which, where, and what the request gets', () => {
  const { events, lines } = setUp()
  events.emit('rt_plugins_error', failure())
  expect(lines).toEqual(['error dynacode: plugin "token" (access, a.com) failed, the request got 503: no'])
})

test('a refused document, a refused plugin, a failed fetch and what goes wrong elsewhere are each a line', () => {
  const { events, lines } = setUp()
  const error = new Error('bad') as never
  events.emit('bg_fetch_api_generic_error', { error, duration_ms: 1 })
  events.emit('bg_didnt_update_plugins', { reason: 'fetch', error })
  events.emit('bg_didnt_update_plugins', { reason: 'unchanged', error: undefined })
  events.emit('bg_didnt_update_plugins', { reason: 'invalid', error })
  events.emit('bg_compile_error', { plugin, error, kept_last_good: true })
  events.emit('bg_compile_error', {
    plugin: { ...(plugin as object), name: 'b' } as never,
    error,
    kept_last_good: false,
  })
  events.emit('bg_stale', { reason: 'age' })
  events.emit('rt_breaker_opened', { plugin, failures: 5, retry_at: 0 })
  events.emit('rt_plugins_not_loaded', { host: 'a.com' })
  events.emit('on_error', { section: 'cache', error })
  expect(lines).toEqual([
    'warn dynacode: could not fetch plugins: bad',
    'error dynacode: refused a document (invalid), what was live stays live: bad',
    'warn dynacode: refused a plugin, its last good version keeps running: bad',
    'error dynacode: refused a plugin: bad',
    'warn dynacode: the live document is stale: nobody has confirmed it for max_stale_seconds',
    'error dynacode: plugin "token" (access, a.com) keeps failing and is skipped (breaker open) until 1970-01-01T00:00:00.000Z',
    'warn dynacode: a request came before the first document was live (see when_not_loaded)',
    'warn dynacode: cache: bad',
  ])
})

test('a rollout and a canary that were stopped are each a line that says why, and a canary with another share is none', () => {
  const { events, lines } = setUp()
  const counts = { inside: {}, control: {} }
  const [own, compared] = [
    { condition: 'error_rate', limit: 0.05, above_control: false, ...counts },
    { condition: 'p99_ms', limit: 20, above_control: true, ...counts },
  ]
  events.emit('rt_rollout_stopped', { plugin, ...own } as never)
  events.emit('rt_canary_stopped', compared as never)
  events.emit('rt_canary_changed', { percent: 100, previous_percent: 10, reason: 'set' })
  expect(lines).toEqual([
    'error dynacode: the rollout of plugin "token" (access, a.com) stopped itself: error_rate is above 0.05',
    'error dynacode: the candidate document was stopped: p99_ms is more than 20 above the control group',
  ])
})

test('what the app listens for is left to the app, and what only dynacode listens for is not', () => {
  const { events, lines } = setUp({ on_fail: vi.fn() })
  events.emitter.on('on_error', vi.fn())
  events.emitter.on('bg_stale', ownListener(vi.fn()))
  events.emit('rt_plugins_error', failure())
  events.emit('on_error', { section: 'cache', error: new Error('bad') })
  events.emit('bg_stale', { reason: 'expired' })
  expect(lines).toEqual(['warn dynacode: the live document is stale: it is past its own general.expires'])
})

test('the first document that goes live is an info line, later ones are none', () => {
  const { events, lines } = setUp()
  const update = { version: 7, plugins: 3 } as never
  events.emit('bg_updated_plugins', { ...(update as object) } as never)
  events.emit('bg_updated_plugins', { ...(update as object) } as never)
  expect(lines).toEqual(['info dynacode: version 7 is live, plugins: 3'])
})

test('a flood of one kind is a few lines, and the next one says how many were left out', () => {
  vi.useFakeTimers()
  const { events, lines } = setUp()
  for (let n = 0; n < 100; n += 1) events.emit('rt_plugins_error', failure())
  expect(lines).toHaveLength(3)
  vi.useRealTimers()
})

test('a message cannot forge a line or fill the console', () => {
  const { events, lines } = setUp()
  events.emit('rt_plugins_error', failure(`x\ndynacode: all is well\u001b[31m${'y'.repeat(9999)}`))
  expect(lines).toHaveLength(1)
  expect(lines[0]).not.toMatch(/\p{Cc}/u)
  expect(lines[0]?.length).toBeLessThan(600)
})

test('nothing is asked for that nobody listens for: a run costs what it did', () => {
  const { events } = setUp()
  expect([events.has('rt_plugins_error'), events.reaches('rt_plugins_error')]).toEqual([false, true])
})
