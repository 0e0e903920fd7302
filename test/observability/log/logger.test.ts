import { setTimeout as wait } from 'node:timers/promises'
import pino from 'pino'
import { describe, expect, test, vi } from 'vitest'
import { CALLBACKS, type EventName } from '../../../lib/events/table.ts'
import type { Logger } from '../../../lib/index.ts'
import { createDeferred, everywhere, plugin, serveBehind, startApp } from '../../fixtures/app.ts'
import { createInstance, createReadyInstance } from '../../fixtures/instance.ts'
import { startPluginApi } from '../../fixtures/plugin-api.ts'

// It goes as the fake timers do.
vi.mock('../../../lib/time/steady-clock.ts', () => ({ steadyNow: () => performance.now() }))

interface Line {
  readonly level: string
  readonly fields: Record<string, unknown>
  readonly message: string
}

/** A logger that keeps what it is called with. */
function createLogger(extra: object = {}): Logger & { readonly lines: Line[] } {
  const lines: Line[] = []
  const method = (level: string) =>
    function (this: unknown, fields: object, message: string) {
      // pino's methods are none without their logger.
      if (this !== logger) throw new Error('called without its logger')
      lines.push({ level, fields: { ...fields }, message })
    }
  const logger = {
    lines,
    debug: method('debug'),
    info: method('info'),
    warn: method('warn'),
    error: method('error'),
    ...extra,
  }
  return logger
}

const eventsOf = ({ lines }: { lines: readonly Line[] }) => lines.map(({ level, fields }) => `${level} ${fields.event}`)

describe('a logger', () => {
  test('gets one line for each event of a refresh, from the first on', async () => {
    const logger = createLogger()
    const api = await startPluginApi(
      everywhere([plugin('access', '', { name: 'a' }), plugin('access', '}', { name: 'b' })]),
    )
    const dyna = await createReadyInstance({ plugin_api_uri: api.uri, logger, bootstrap: { domains: [] } })
    await expect.poll(() => dyna.status().from).toBe('network')
    await wait(0)
    api.answer({ status: 500 })
    await dyna.refresh()
    expect(eventsOf(logger)).toEqual([
      'info bg_updated_plugins',
      'debug bg_cache_miss',
      'debug bg_fetch_api_success',
      'debug bg_compile_success',
      'error bg_compile_error',
      'info bg_updated_plugins',
      'debug bg_cache_miss',
      'warn bg_fetch_api_status_code_error',
      'debug bg_didnt_update_plugins',
    ])
    expect(logger.lines[4]).toEqual({
      level: 'error',
      message: 'refused a plugin',
      fields: {
        event: 'bg_compile_error',
        plugin: 'b',
        domain: '*',
        phase: 'access',
        kept_last_good: false,
        err: {
          type: 'CompileError',
          code: 'ERR_DYNACODE_COMPILE',
          message: expect.stringContaining('plugin "b":1'),
          stack: expect.stringContaining('CompileError'),
          cause: expect.objectContaining({ message: expect.any(String) }),
        },
      },
    })
    expect(logger.lines[5]?.fields).toMatchObject({ from: 'network', plugins: 1, failed: 1 })
    expect(logger.lines[7]?.fields).toMatchObject({ status: 500, err: { code: 'ERR_DYNACODE_FETCH_STATUS' } })
  })

  test('gets what a plugin throws with the place in its code, and nothing for a run that goes well', async () => {
    const logger = createLogger()
    const document = everywhere([plugin('access', '', { name: 'fine' }), plugin('access', '\nnull.x', { name: 'bad' })])
    const { request } = await startApp({ document, options: { logger } })
    logger.lines.length = 0
    await request.get('/').expect(200)
    expect(logger.lines).toMatchObject([
      {
        level: 'error',
        message: 'a plugin failed',
        fields: {
          event: 'rt_plugins_error',
          plugin: 'bad',
          domain: '*',
          phase: 'access',
          host: '127.0.0.1',
          outcome: 'open',
          duration_ms: expect.any(Number),
          err: { type: 'TypeError', stack: expect.stringContaining('dynacode:plugin:bad:2:6') },
        },
      },
    ])
  })

  test('gets what a plugin says with log, put together as debug and console do it', async () => {
    const logger = createLogger()
    const code = `log('%s has %d', 'a', 1, { b: [2] }); log({ toString() { throw 0 }, get x() { throw 1 } }); log()`
    const { request } = await startApp({ plugins: [plugin('access', code, { name: 'talker' })], options: { logger } })
    logger.lines.length = 0
    await request.get('/').expect(200, 'app')
    const fields = { event: 'log', plugin: 'talker', domain: '*', phase: 'access' }
    expect(logger.lines).toEqual([
      { level: 'info', message: 'a has 1 { b: [ 2 ] }', fields },
      { level: 'info', message: expect.stringContaining('[Getter]'), fields },
      { level: 'info', message: '', fields },
    ])
  })

  test('gets only so many lines about one plugin, and the next one says how many are missing', async () => {
    vi.useFakeTimers({ toFake: ['performance'] })
    try {
      const logger = createLogger()
      const plugins = [plugin('access', 'throw 1', { name: 'bad' }), plugin('access', 'log(1)', { name: 'loud' })]
      const { dyna } = await startApp({ plugins, options: { logger, breaker_failures: 0 } })
      const request = await serveBehind(dyna)
      logger.lines.length = 0
      for (let count = 0; count < 30; count += 1) await request.get('/')
      const about = (name: string) => logger.lines.filter(({ fields }) => fields.plugin === name)
      expect([about('bad').length, about('loud').length]).toEqual([10, 10])
      logger.lines.length = 0
      vi.advanceTimersByTime(1000)
      await request.get('/')
      await request.get('/')
      for (const name of ['bad', 'loud']) expect(about(name)).toMatchObject([{ fields: { suppressed: 20 } }])
    } finally {
      vi.useRealTimers()
    }
  })

  test('gets nothing that its level leaves out', async () => {
    const logger = createLogger({ isLevelEnabled: (level: string) => level === 'error' })
    const { request } = await startApp({ plugins: [plugin('access', `log('x'); throw 1`)], options: { logger } })
    await request.get('/')
    expect(eventsOf(logger)).toEqual(['error rt_plugins_error'])
  })

  test('gets nothing after close()', async () => {
    const logger = createLogger()
    const gate = createDeferred()
    const plugins = [plugin('access', `log('before'); await gate; log('after')`)]
    const { dyna, request } = await startApp({ plugins, options: { logger, globals: { gate: gate.promise } } })
    const answer = request.get('/').then((response) => response.status)
    await expect.poll(() => logger.lines.at(-1)?.message).toBe('before')
    await dyna.close()
    const count = logger.lines.length
    await dyna.refresh()
    gate.resolve()
    await answer
    expect(logger.lines).toHaveLength(count)
  })

  test('does not listen to what comes with every run', () => {
    const { events } = createInstance({ plugin_api_uri: 'http://127.0.0.1:1/', logger: createLogger() })
    const names = Object.keys(CALLBACKS) as EventName[]
    expect(names.filter((name) => events.listenerCount(name) === 0)).toEqual(['rt_plugins_starting', 'rt_plugins_done'])
  })
})

describe('a logger that fails', () => {
  const throws = () => {
    throw new Error('no log')
  }
  const rejects = async () => throws()
  const thenable = (then: unknown) => Object.fromEntries([['then', then]])
  const FAILING: [string, object][] = [
    ['throws', { debug: throws, info: throws, warn: throws, error: throws }],
    ['rejects', { debug: rejects, info: rejects, warn: rejects, error: rejects }],
    ['throws when asked for its level', { isLevelEnabled: throws }],
    [
      'returns what is no promise',
      {
        error: () => thenable(throws),
        info: () => thenable((_: unknown, no: (error: Error) => void) => no(new Error())),
      },
    ],
  ]

  test.each(FAILING)('and %s harms nothing', async (_what, methods) => {
    const errors: unknown[] = []
    const { request, dyna, api } = await startApp({
      plugins: [plugin('access', `log('x'); throw 1`)],
      options: { logger: createLogger(methods), on_error: (payload) => errors.push(payload) },
    })
    await request.get('/').expect(200, 'app')
    api.answer({ body: '{' })
    expect(await dyna.refresh()).toMatchObject({ updated: false, reason: 'invalid' })
    await wait(5)
    expect(errors).toEqual([])
  })

  test('and loses its methods harms nothing', async () => {
    const logger = createLogger()
    const { request } = await startApp({ plugins: [plugin('access', `log('x'); throw 1`)], options: { logger } })
    for (const level of ['debug', 'info', 'warn', 'error']) delete (logger as unknown as Record<string, unknown>)[level]
    await request.get('/').expect(200, 'app')
  })

  test.each([
    [null, 'option logger: expected false or an object, got null'],
    ['pino', 'option logger: expected false or an object, got "pino"'],
    [{}, 'option logger.debug: expected a method, as pino has it, got nothing'],
    [
      { debug() {}, info() {}, warn: 'x', error() {} },
      'option logger.warn: expected a method, as pino has it, got "x"',
    ],
  ])('and is %j is refused', (logger, message) => {
    expect(() => createInstance({ plugin_api_uri: 'http://127.0.0.1:1/', logger: logger as never })).toThrow(message)
  })
})

describe('pino', () => {
  test('takes the lines as they are', async () => {
    const lines: Record<string, unknown>[] = []
    const logger = pino({ level: 'info', base: null }, { write: (line: string) => void lines.push(JSON.parse(line)) })
    const document = everywhere([plugin('access', `log('hello'); null.x`, { name: 'bad' })])
    const { request } = await startApp({ document, options: { logger } })
    await request.get('/').expect(200)
    expect(lines).toMatchObject([
      { level: 30, event: 'bg_updated_plugins', msg: 'a document went live' },
      { level: 30, event: 'log', plugin: 'bad', msg: 'hello' },
      {
        level: 50,
        event: 'rt_plugins_error',
        plugin: 'bad',
        err: {
          type: 'TypeError',
          message: expect.stringContaining('null'),
          stack: expect.stringContaining('plugin:bad:1'),
        },
      },
    ])
  })
})

test('console is a logger, too', async () => {
  const info = vi.spyOn(console, 'info').mockImplementation(() => undefined)
  vi.spyOn(console, 'debug').mockImplementation(() => undefined)
  await startApp({ options: { logger: console } })
  expect(info).toHaveBeenCalledWith(expect.objectContaining({ event: 'bg_updated_plugins' }), 'a document went live')
  vi.restoreAllMocks()
})
