import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { OptionError } from '../lib/errors.ts'
import { type DynacodeOptions, OPTION_NAMES, parseOptions } from '../lib/options.ts'

const URI = 'http://api.test/plugins.json'

/** The error that these options are refused with. */
function refusal(options: unknown): OptionError {
  try {
    parseOptions(options as DynacodeOptions)
  } catch (error) {
    if (error instanceof OptionError) return error
    throw error
  }
  throw new Error('the options were accepted')
}

const withUri = (options: object) => parseOptions({ plugin_api_uri: URI, ...options })
const refusalWithUri = (options: object) => refusal({ plugin_api_uri: URI, ...options })

test('paths stay the same ones, wherever the process goes', () => {
  const plugin_api_uri = 'http://api/'
  const parsed = parseOptions({
    plugin_api_uri,
    cache_path: 'var/cache',
    bootstrap: 'boot.json',
    watchdog: { quarantine_path: 'quarantine' },
  })
  const before = process.cwd()
  process.chdir(tmpdir())
  try {
    expect(parsed.cache_path).toBe(join(before, 'var/cache'))
    expect(parsed.bootstrap).toBe(join(before, 'boot.json'))
    expect(parsed.watchdog?.quarantine_path).toBe(join(before, 'quarantine'))
  } finally {
    process.chdir(before)
  }
  expect(parseOptions({ plugin_api_uri, cache_path: '/var/cache' }).cache_path).toBe('/var/cache')
})

describe('the defaults', () => {
  test('are those of the documentation', () => {
    expect(parseOptions({ plugin_api_uri: URI })).toMatchObject({
      plugin_api_uri: URI,
      plugin_api_polling_interval: 30,
      plugin_api_poll_at_init: true,
      workers_max_jitter: 3,
      plugin_api_timeout: 5,
      plugin_api_headers: {},
      plugin_api_max_bytes: 16 * 1024 * 1024,
      plugin_api_redirects: 0,
      plugin_api_deltas: true,
      plugin_api_backoff_max: 60,
      max_stale_seconds: Number.POSITIVE_INFINITY,
      when_stale: 'serve',
      max_domains: 100_000,
      max_alike_expressions: 300,
      max_plugins: 100_000,
      max_code_bytes: 1024 * 1024,
      max_removed_ratio: 1,
      compile_cache_max: 10_000,
      when_not_loaded: 'open',
      guard: 'on',
      budget_ms: 50,
      timeout_ms: 5000,
      breaker_failures: 5,
      linear_regexp: false,
      globals: {},
      callbacks: {},
    })
  })

  test('stand in for options that are undefined', () => {
    const undefinedOptions = Object.fromEntries(OPTION_NAMES.map((name) => [name, undefined]))
    expect(withUri({ ...undefinedOptions, plugin_api_uri: URI })).toMatchObject(parseOptions({ plugin_api_uri: URI }))
  })

  test('make the jitter a tenth of the interval, as far as a timer can wait for both', () => {
    expect(withUri({ plugin_api_polling_interval: 10 }).workers_max_jitter).toBe(1)
    const longest = withUri({ plugin_api_polling_interval: 2_147_483.647 })
    expect(longest.workers_max_jitter).toBe(0)
  })
})

describe('wrong options', () => {
  test.each([
    [undefined, 'nothing'],
    [null, 'null'],
    ['http://api', '"http://api"'],
    [[], 'an array of 0'],
    [() => undefined, 'a function'],
  ])('%s in place of the options are refused', (options, came) => {
    expect(refusal(options)).toMatchObject({
      code: 'ERR_DYNACODE_OPTION',
      name: 'OptionError',
      option: '',
      message: `dynacode(options): expected an object, got ${came}`,
    })
  })

  test.each([
    ['plugin_api_uri', 5, 'expected a string, got 5'],
    ['plugin_api_uri', 'plugins.json', 'expected an http: or https: URL, got "plugins.json"'],
    ['plugin_api_uri', 'file:///plugins.json', 'expected an http: or https: URL, got "file:///plugins.json"'],
    ['plugin_api_polling_interval', 0, 'expected a number of at least 0.001, got 0'],
    ['plugin_api_polling_interval', -1, 'expected a number of at least 0.001, got -1'],
    ['plugin_api_polling_interval', 1e-9, 'expected a number of at least 0.001, got 1e-9'],
    ['plugin_api_polling_interval', Number.NaN, 'expected a finite number, got NaN'],
    ['plugin_api_polling_interval', Number.POSITIVE_INFINITY, 'expected a finite number, got Infinity'],
    ['plugin_api_polling_interval', 2 ** 31, 'expected a number of at most 2147483.647, got 2147483648'],
    ['plugin_api_polling_interval', '30', 'expected a finite number, got "30"'],
    ['plugin_api_poll_at_init', 1, 'expected a boolean, got 1'],
    ['workers_max_jitter', -1, 'expected a number of at least 0, got -1'],
    ['workers_max_jitter', Number.NaN, 'expected a finite number, got NaN'],
    [
      'workers_max_jitter',
      2_147_483,
      'expected at most 2147483.647 together with plugin_api_polling_interval, got 2147483 and 30',
    ],
    ['plugin_api_timeout', 0, 'expected a number of at least 0.001, got 0'],
    ['plugin_api_timeout', 2 ** 31, 'expected a number of at most 2147483.647, got 2147483648'],
    ['plugin_api_headers', [], 'expected an object or a function, got an array of 0'],
    ['plugin_api_headers', new Map(), 'expected an object or a function, got an object'],
    ['plugin_api_dispatcher', {}, 'expected an undici Dispatcher, got an object'],
    ['plugin_api_max_bytes', 0, 'expected a number above 0, got 0'],
    ['plugin_api_max_bytes', 1.5, 'expected an integer, got 1.5'],
    ['plugin_api_max_bytes', 1e9, 'expected a number of at most 536870888, got 1000000000'],
    ['compile_cache_max', 0, 'expected a number above 0, got 0'],
    ['compile_cache_max', 1e9, 'expected a number of at most 1000000, got 1000000000'],
    ['guard', 'of', 'expected one of "on", "strict", "off", got "of"'],
    ['budget_ms', 0, 'expected a number above 0, got 0'],
    ['budget_ms', 2 ** 31, 'expected a number of at most 2147483647, got 2147483648'],
    ['timeout_ms', '5s', 'expected a finite number, got "5s"'],
    ['breaker_failures', -1, 'expected a number of at least 0, got -1'],
    ['breaker_failures', 0.5, 'expected an integer, got 0.5'],
    ['linear_regexp', 'yes', 'expected a boolean, got "yes"'],
    ['plugin_api_redirects', -1, 'expected a number of at least 0, got -1'],
    ['plugin_api_redirects', 21, 'expected a number of at most 20, got 21'],
    ['plugin_api_backoff_max', 0, 'expected a number of at least 0.001, got 0'],
    ['cache_path', '', 'expected a string that is not empty, got ""'],
    ['max_stale_seconds', 0, 'expected a number above 0, got 0'],
    ['max_stale_seconds', '60', 'expected Infinity or a finite number, got "60"'],
    ['when_stale', 'open', 'expected one of "serve", "closed", got "open"'],
    ['max_domains', 0, 'expected a number above 0, got 0'],
    ['max_alike_expressions', -1, 'expected a number above 0, got -1'],
    ['max_plugins', 1.5, 'expected an integer, got 1.5'],
    ['max_code_bytes', Number.POSITIVE_INFINITY, 'expected a finite number, got Infinity'],
    ['max_removed_ratio', 2, 'expected a number of at most 1, got 2'],
    ['max_removed_ratio', Number.NaN, 'expected a finite number, got NaN'],
    ['when_not_loaded', 'shut', 'expected one of "open", "closed", "wait", got "shut"'],
    ['globals', [], 'expected an object, got an array of 0'],
    ['globals', 'config', 'expected an object, got "config"'],
    ['on_fail', 'log', 'expected a function, got "log"'],
  ])('%s: %j is refused: it names the option, what was expected and what came', (option, value, message) => {
    expect(refusalWithUri({ [option]: value })).toMatchObject({ option, message: `option ${option}: ${message}` })
  })

  test.each([
    [{ watchdog: {} }, 'watchdog.quarantine_path', 'expected a string, got nothing'],
    [{ watchdog: { quarantine_path: '' } }, 'watchdog.quarantine_path', 'expected a string that is not empty, got ""'],
    [{ watchdog: { quarantine_path: '/q', limit_ms: 0 } }, 'watchdog.limit_ms', 'expected a number above 0, got 0'],
    [{ watchdog: { quarantine_path: '/q', exit: 1 } }, 'watchdog.exit', 'expected a boolean, got 1'],
    [{ watchdog: { quarantine_path: '/q', exits: true } }, 'watchdog.exits', 'is not known'],
    [{ bootstrap: 5 }, 'bootstrap', 'expected a string or an object, got 5'],
    [{ trusted_keys: { keys: [] } }, 'trusted_keys.keys', undefined],
  ])('%j is refused with the path to what is wrong', (options, option, message) => {
    const error = refusalWithUri(options)
    expect(error.option).toBe(option)
    if (message !== undefined) expect(error.message).toBe(`option ${option}: ${message}`)
  })

  test.each(OPTION_NAMES)('%s: null is refused', (option) => {
    const error = refusalWithUri({ [option]: null })
    expect(error.option).toBe(option)
    expect(error.message).toMatch(/expected .+, got null$/)
  })

  test('a source needs a fetch method', () => {
    expect(refusal({ source: { fetch: 'GET' } }).message).toBe(
      'option source: expected an object with a fetch method, got an object',
    )
  })

  test('either an address or a source is required, and not both', () => {
    expect(refusal({})).toMatchObject({
      option: 'plugin_api_uri',
      message: 'option plugin_api_uri: expected it or source, got neither',
    })
    const source = { fetch: async () => ({ bytes: new Uint8Array() }) }
    expect(refusalWithUri({ source }).message).toBe('option plugin_api_uri: expected it or source, got both')
    expect(parseOptions({ source }).source).toBe(source)
  })
})

describe('an unknown option', () => {
  test.each([
    ['plugin_api_url', 'plugin_api_uri'],
    ['pluginApiUri', 'plugin_api_uri'],
    ['PLUGIN_API_TIMEOUT', 'plugin_api_timeout'],
    ['global', 'globals'],
    ['on_fale', 'on_fail'],
    ['onCompileFail', 'on_compile_fail'],
  ])('%s is refused, and %s suggested', (unknown, known) => {
    expect(refusalWithUri({ [unknown]: 1 })).toMatchObject({
      option: unknown,
      message: `option ${unknown}: is not known. Did you mean \`${known}\`?`,
    })
  })

  test.each(['colour', 'constructor', 'toString', 'hasOwnProperty'])('%s is refused without a guess', (unknown) => {
    expect(refusalWithUri({ [unknown]: 1 }).message).toBe(`option ${unknown}: is not known`)
  })

  test('__proto__ is refused as any other, and changes no prototype', () => {
    const options = JSON.parse(`{ "plugin_api_uri": "${URI}", "__proto__": { "when_not_loaded": "closed" } }`)
    expect(refusal(options).message).toBe('option __proto__: is not known')
    expect(({} as { when_not_loaded?: unknown }).when_not_loaded).toBeUndefined()
  })
})

describe('the caller’s object', () => {
  test('is left as it is', () => {
    const headers = { authorization: 'Bearer secret' }
    const globals = { flags: { beta: true } }
    const options = { plugin_api_uri: URI, plugin_api_headers: headers, globals }
    const before = structuredClone(options)
    parseOptions(options)
    expect(options).toEqual(before)
    expect([options, headers, globals, globals.flags].some((object) => Object.isFrozen(object))).toBe(false)
  })

  test('may be frozen', () => {
    const options = Object.freeze({ plugin_api_uri: URI, plugin_api_headers: Object.freeze({ accept: '*/*' }) })
    expect(parseOptions(options).plugin_api_headers).toEqual({ accept: '*/*' })
  })

  test('has no say any more once the options are read', () => {
    const options = {
      plugin_api_uri: URI,
      plugin_api_headers: { a: '1' },
      globals: { b: 2 } as Record<string, unknown>,
    }
    const parsed = parseOptions(options)
    options.plugin_api_headers.a = 'changed'
    options.globals.c = 3
    options.plugin_api_uri = 'http://elsewhere.test'
    expect(parsed).toMatchObject({ plugin_api_uri: URI, plugin_api_headers: { a: '1' }, globals: { b: 2 } })
    expect(parsed.globals).not.toHaveProperty('c')
  })

  test('becomes options that are frozen', () => {
    const parsed = withUri({ on_fail: () => undefined })
    expect([parsed, parsed.callbacks, parsed.globals].every((object) => Object.isFrozen(object))).toBe(true)
  })
})

describe('the request headers', () => {
  test.each([
    [{ accept: 5 }, 'plugin_api_headers.accept', 'expected a string, got 5'],
    [{ accept: null }, 'plugin_api_headers.accept', 'expected a string, got null'],
    [{ 'no name': 'x' }, 'plugin_api_headers["no name"]', 'expected the name of a header, got a string'],
    [
      { 'x-note': 'a\r\nhost: evil' },
      'plugin_api_headers.x-note',
      'expected a header without line breaks and characters above U+00FF, got a string',
    ],
    [
      { 'x-note': 'snow ☃' },
      'plugin_api_headers.x-note',
      'expected a header without line breaks and characters above U+00FF, got a string',
    ],
  ])('%j are refused with the path to the one at fault', (plugin_api_headers, option, message) => {
    expect(refusalWithUri({ plugin_api_headers })).toMatchObject({ option, message: `option ${option}: ${message}` })
  })

  test('may be the answer of a function', () => {
    const plugin_api_headers = () => ({})
    expect(withUri({ plugin_api_headers }).plugin_api_headers).toBe(plugin_api_headers)
  })
})

describe('secrets', () => {
  test.each([
    [{ plugin_api_headers: 'Bearer hunter2' }],
    [{ plugin_api_headers: { authorization: 'hunter2\n' } }],
    [{ plugin_api_uri: 'http://admin:hunter2@api.test/' }],
    [{ plugin_api_uri: 'htp://admin:hunter2@api.test/' }],
    [{ plugin_api_uri: 'htp://api.test/?token=hunter2' }],
  ])('in %j are not repeated by the error', (options) => {
    expect(refusalWithUri(options).message).not.toContain('hunter2')
  })

  test('do not belong into the address', () => {
    expect(refusal({ plugin_api_uri: 'https://token@api.test/' }).message).toBe(
      'option plugin_api_uri: expected a URL without user and password (put them into plugin_api_headers), got one with them',
    )
  })
})

describe('globals', () => {
  test.each(['ctx', 'params', 'store', 'log', 'chunk'])('cannot take the place of %s', (name) => {
    expect(refusalWithUri({ globals: { [name]: 1 } })).toMatchObject({
      option: `globals.${name}`,
      message: `option globals.${name}: expected a name that plugins do not have already, got "${name}"`,
    })
  })

  test.each(['a-b', 'a b', '1', '', 'class', 'await', 'eval', 'arguments', 'let', 'x=1'])('%j is no name', (name) => {
    expect(refusalWithUri({ globals: { [name]: 1 } }).message).toContain(
      `expected a name that a variable can have, got ${JSON.stringify(name)}`,
    )
  })

  test('keep their values as they are', () => {
    const client = { query() {} }
    expect(withUri({ globals: { $client: client, größe: 1, async: 2 } }).globals).toEqual({
      $client: client,
      größe: 1,
      async: 2,
    })
    expect(withUri({ globals: { client } }).globals.client).toBe(client)
    expect(Object.isFrozen(client)).toBe(false)
  })
})
