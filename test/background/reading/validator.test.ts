import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { readDocument } from '../../../lib/background/reading/validator.ts'
import type { Document, PluginSpec, RefusedPlugin } from '../../../lib/document.ts'
import { DocumentError } from '../../../lib/errors.ts'
import { tries } from '../../fixtures/tries.ts'

const read = (document: unknown) => readDocument(JSON.stringify(document))
const plugin = (fields: object = {}) => ({ name: 'p', phase: 'access', code: 'exit(401)', ...fields })
const withPlugins = (...plugins: unknown[]) => ({ domains: [{ name: 'a.com', plugins }] })
const brackets = (depth: number) => `${'['.repeat(depth)}${']'.repeat(depth)}`
const braces = (depth: number) => `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`

const ROOM = { max_domains: 10, max_plugins: 10, max_code_bytes: 1000 }
const RULES = { ...ROOM, guard: 'on', budget_ms: 50, timeout_ms: 5000 } as const

/** The plugins of the first domain. */
function pluginsOf(document: Document): readonly (PluginSpec | RefusedPlugin)[] {
  const [domain] = document.domains
  if (domain === undefined || 'error' in domain) throw new Error('the domain was refused')
  return domain.plugins
}

/** What is wrong with the only plugin of a document that is read all the same. */
function faultOf(raw: unknown, shared: unknown[] = []): RefusedPlugin {
  const [first] = pluginsOf(read({ ...withPlugins(raw), plugins: shared }))
  if (first === undefined || !('error' in first)) throw new Error('the plugin was accepted')
  return first
}

function frameFault(text: string): DocumentError {
  try {
    readDocument(text)
  } catch (error) {
    if (error instanceof DocumentError) return error
    throw error
  }
  throw new Error('the document was accepted')
}

describe('a plugin', () => {
  test('is read with every field that it has', () => {
    const fields = {
      id: 7,
      priority: 3,
      on_failure: 'closed',
      guard: 'strict',
      budget_ms: 20,
      timeout_ms: 200,
      params: { limit: 5, deep: { list: [1, { a: null }] } },
    }
    const [spec] = pluginsOf(read(withPlugins(plugin(fields))))
    const scope = { enabled: true, when: undefined, share: undefined, starts_at: undefined, expires_at: undefined }
    const rest = { domain: 'a.com', path: 'domains[0].plugins[0]', scope, shadow: false, shadow_allows: [] }
    expect(spec).toEqual({ ...plugin(fields), ...rest })
  })

  test.each([
    {},
    { id: null, priority: null, on_failure: null, params: null, guard: null, budget_ms: null, timeout_ms: null },
  ])('gets the defaults for what it leaves out or says null for: %j', (fields) => {
    const defaults = { guard: 'strict', budget_ms: 7, timeout_ms: 70 } as const
    const document = readDocument(JSON.stringify(withPlugins(plugin(fields))), { ...ROOM, ...defaults })
    expect(pluginsOf(document)[0]).toMatchObject({
      id: undefined,
      priority: 0,
      on_failure: 'open',
      params: {},
      ...defaults,
    })
  })

  test('may have fields that nobody knows yet', () => {
    const [spec] = pluginsOf(read(withPlugins(plugin({ description: 'x', canary: { percent: 5 } }))))
    expect(spec).not.toHaveProperty('error')
    expect(spec).not.toHaveProperty('canary')
  })

  test('may stand in several phases under one name', () => {
    const plugins = pluginsOf(read(withPlugins(plugin(), plugin({ phase: 'log' }))))
    expect(plugins.filter((spec) => 'error' in spec)).toEqual([])
  })

  test('is frozen, its params through and through', () => {
    const [spec] = pluginsOf(read(withPlugins(plugin({ params: { deep: { list: [{}] } } })))) as [PluginSpec]
    const { deep } = spec.params as { deep: { list: object[] } }
    expect([spec, spec.params, deep, deep.list, deep.list[0]].every((part) => Object.isFrozen(part))).toBe(true)
  })
})

describe('a faulty plugin is refused alone, with the exact path', () => {
  const PHASES = '"rewrite", "access", "content", "balancer", "header_filter", "body_filter", "log"'
  const NO_SUCH = `expected code, or the id of one of the document's plugins, got the id`

  test.each(
    [
      [plugin({ code: undefined }), '.code', 'expected a string, got nothing'],
      [plugin({ code: 5 }), '.code', 'expected a string, got 5'],
      [plugin({ code: null }), '.code', 'expected a string, got null'],
      [plugin({ phase: undefined }), '.phase', `expected one of ${PHASES}, got nothing`],
      [plugin({ phase: 'plugins' }), '.phase', `expected one of ${PHASES}, got "plugins"`],
      [plugin({ phase: 'constructor' }), '.phase', `expected one of ${PHASES}, got "constructor"`],
      [plugin({ phase: '__proto__' }), '.phase', `expected one of ${PHASES}, got "__proto__"`],
      [plugin({ phase: 'Access' }), '.phase', `expected one of ${PHASES}, got "Access"`],
      [plugin({ phase: null }), '.phase', `expected one of ${PHASES}, got null`],
      [plugin({ phase: 2 }), '.phase', `expected one of ${PHASES}, got 2`],
      [plugin({ params: [] }), '.params', 'expected an object, got an array of 0'],
      [plugin({ params: '{}' }), '.params', 'expected an object, got "{}"'],
      [plugin({ priority: '5' }), '.priority', 'expected a finite number, got "5"'],
      [plugin({ on_failure: true }), '.on_failure', 'expected one of "open", "closed", got true'],
      [plugin({ id: {} }), '.id', 'expected a string or a finite number, got an object'],
      [plugin({ id: '' }), '.id', 'expected a string that is not empty, got ""'],
      [plugin({ budget_ms: 0 }), '.budget_ms', 'expected a number above 0, got 0'],
      [plugin({ timeout_ms: '5s' }), '.timeout_ms', 'expected a finite number, got "5s"'],
      [plugin({ guard: 'none' }), '.guard', 'expected one of "on", "strict", "off", got "none"'],
      [plugin({ name: 5, id: 1 }), '.name', 'expected a string, got 5'],
      [
        plugin({ name: 'x'.repeat(2_000_000), id: 1 }),
        '.name',
        `expected a string of at most 1024 characters, got "${'x'.repeat(60)}…"`,
      ],
      [9, '', `${NO_SUCH} 9`],
      ['nine', '', `${NO_SUCH} "nine"`],
      [{ id: 9, params: {} }, '', `${NO_SUCH} 9`],
    ].map(([raw, field, message]) => ({ raw, field, message })),
  )('$field: $message', ({ raw, field, message }) => {
    const { error } = faultOf(raw)
    expect(error.path).toBe(`domains[0].plugins[0]${field}`)
    expect(error.message).toBe(`${error.path}: ${message}`)
  })

  test('in JSON that no JavaScript writes: numbers beyond all bounds', () => {
    const text = JSON.stringify(withPlugins(plugin({ priority: 0 }))).replace('"priority":0', '"priority":1e999')
    expect(pluginsOf(readDocument(text))[0]).toMatchObject({ error: { path: 'domains[0].plugins[0].priority' } })
  })

  test('beside others that are read', () => {
    const plugins = pluginsOf(read(withPlugins(plugin({ phase: 'x' }), plugin({ name: 'q' }), 5)))
    expect(plugins.map((spec) => 'error' in spec)).toEqual([true, false, true])
  })

  test('when another of its name and phase stands before it in the domain', () => {
    const document = read({
      domains: [
        { name: 'a.com', plugins: [plugin()] },
        { name: 'b.com', plugins: [plugin()] },
        { name: 'a.com', plugins: [plugin({ code: 'exit(403)' })] },
      ],
    })
    const faults = document.domains.flatMap((domain) =>
      'error' in domain ? [] : domain.plugins.flatMap((spec) => ('error' in spec ? [spec.error.message] : [])),
    )
    expect(faults).toEqual([
      'domains[2].plugins[0].name: the domain has a plugin "p" in the phase access already (domains[0].plugins[0])',
    ])
  })

  test('keeping what can be known of it', () => {
    expect(faultOf(plugin({ id: 3, code: 5, on_failure: 'closed' }))).toMatchObject({
      domain: 'a.com',
      name: 'p',
      id: 3,
      phase: 'access',
      on_failure: 'closed',
    })
    expect(faultOf(plugin({ phase: 'plugins' })).phase).toBeUndefined()
  })

  test.each([
    ['closed', 'closed'],
    ['close', 'closed'],
    [true, 'closed'],
    ['open', 'open'],
    [null, 'open'],
    [undefined, 'open'],
  ])('on_failure %j counts as %s', (on_failure, policy) => {
    expect(faultOf(plugin({ code: 5, on_failure })).on_failure).toBe(policy)
  })

  test('when its params are nested deeper than 100 levels', () => {
    const readParams = (depth: number) =>
      pluginsOf(readDocument(JSON.stringify(withPlugins(plugin({ params: 'P' }))).replace('"P"', braces(depth))))[0]
    expect(readParams(100)).not.toHaveProperty('error')
    for (const depth of [101, 10_000]) {
      expect(readParams(depth)).toMatchObject({
        error: { message: 'domains[0].plugins[0].params: expected at most 100 levels, got more' },
      })
    }
  })
})

describe('a shared plugin', () => {
  const shared = { id: 1, name: 'limit', phase: 'access', code: 'x', params: { limit: 5, burst: 1 }, priority: 2 }

  test('is what its id stands for', () => {
    const [spec] = pluginsOf(read({ ...withPlugins(1), plugins: [shared] }))
    expect(spec).toMatchObject({ ...shared, domain: 'a.com', path: 'domains[0].plugins[0]' })
  })

  test('can be referenced by a string, which is another id than the number', () => {
    const document = read({ ...withPlugins('1', 1), plugins: [shared, { ...shared, id: '1', name: 'other' }] })
    expect(pluginsOf(document).map(({ name }) => name)).toEqual(['other', 'limit'])
  })

  test('is overridden by what a reference says, the params one by one', () => {
    const reference = { id: 1, name: 'mine', phase: 'rewrite', params: { limit: 9 }, priority: null, code: null }
    const [spec] = pluginsOf(read({ ...withPlugins(reference), plugins: [shared] }))
    expect(spec).toMatchObject({
      name: 'mine',
      phase: 'rewrite',
      params: { limit: 9, burst: 1 },
      priority: 2,
      code: 'x',
    })
  })

  test('at fault is refused where it is used, with the path to the fault', () => {
    const { name, id, on_failure, error } = faultOf(1, [{ ...shared, phase: 'x', on_failure: 'closed' }])
    expect([name, id, on_failure, error.path]).toEqual(['limit', 1, 'closed', 'plugins[0].phase'])
  })

  test('at fault and used nowhere is reported by itself', () => {
    const document = read({ domains: [], plugins: [{ ...shared, code: 7 }] })
    expect(document.faults.map(({ message }) => message)).toEqual(['plugins[0].code: expected a string, got 7'])
  })

  test('without an id of its own is reported by itself', () => {
    const plugins = [shared, { ...shared }, { ...shared, id: undefined }, { ...shared, id: [] }]
    expect(read({ domains: [], plugins }).faults.map(({ message }) => message)).toEqual([
      'plugins[1].id: 1 is the id of plugins[0] already',
      'plugins[2].id: expected a string or number to refer to it by, got nothing',
      'plugins[3].id: expected a string or number to refer to it by, got an array of 0',
    ])
  })

  test('overridden by something wrong is refused at the reference', () => {
    expect(faultOf({ id: 1, priority: 'high' }, [shared]).error.path).toBe('domains[0].plugins[0].priority')
  })
})

describe('a faulty domain is refused alone', () => {
  test.each([
    [{ name: '(', plugins: [] }, 'domains[1].name', /^domains\[1\]\.name: "\(" is not a valid regular expression: /],
    [
      { name: 'x'.repeat(2000), plugins: [] },
      'domains[1].name',
      /expected a string of 1 to 1024 characters, got "x+…"$/,
    ],
    [{ name: 'b.com' }, 'domains[1].plugins', /: expected an array, got nothing$/],
    [{ name: 'b.com', plugins: null }, 'domains[1].plugins', /: expected an array, got null$/],
    [{ name: 'b.com', plugins: {} }, 'domains[1].plugins', /: expected an array, got an object$/],
  ])('refused domain %#', (faulty, path, message) => {
    const { domains } = read({ domains: [{ name: 'a.com', plugins: [] }, faulty, { name: 'c.com', plugins: [] }] })
    expect(domains.map((domain) => 'error' in domain)).toEqual([false, true, false])
    const { error } = domains[1] as unknown as { error: DocumentError }
    expect(error.path).toBe(path)
    expect(error.message).toMatch(message)
  })
})

describe('the part about everything', () => {
  test.each([
    [undefined, true],
    [null, true],
    [{}, true],
    [{ status: null }, true],
    [{ status: 'enabled' }, true],
    [{ status: 'disabled' }, false],
    [{ status: 'Enabled' }, false],
    [{ status: '' }, false],
    [{ status: false }, false],
    [{ status: 0 }, false],
    [{ status: ['enabled'] }, false],
  ])('general %j: enabled is %s', (general, enabled) => {
    expect(read({ general, domains: [] }).enabled).toBe(enabled)
  })

  test.each([
    [5, 5],
    ['v1', 'v1'],
    [null, undefined],
    [{}, undefined],
  ])('version %j is %j', (version, known) => {
    expect(read({ general: { version }, domains: [] }).version).toBe(known)
  })

  test('leaves out the entries of skip_domains that are no patterns, and reports each', () => {
    const { skip, faults } = read({ general: { skip_domains: ['a.com', 5, null, '(', '', '*.b.com'] }, domains: [] })
    expect(skip).toEqual([
      { kind: 'literal', host: 'a.com' },
      { kind: 'suffix', suffix: '.b.com' },
    ])
    expect(faults.map(({ path }) => path)).toEqual([1, 2, 3, 4].map((index) => `general.skip_domains[${index}]`))
  })

  test('may skip nothing', () => {
    expect(read({ general: { skip_domains: null }, domains: [] }).skip).toEqual([])
  })
})

describe('a faulty frame refuses the document whole', () => {
  test.each([
    ['', '', /^the document is not JSON: /],
    ['<!doctype html><p>Sign in to the network', '', /^the document is not JSON: /],
    ['{"domains":[]', '', /^the document is not JSON: /],
    ['{"domains":[],}', '', /^the document is not JSON: /],
    ['['.repeat(10_000), '', /^the document is not JSON: /],
    ['null', '', /^the document: expected an object, got null$/],
    ['[]', '', /^the document: expected an object, got an array of 0$/],
    ['"domains"', '', /^the document: expected an object, got "domains"$/],
    ['{}', 'domains', /expected an array, got nothing$/],
    ['{"domains":null}', 'domains', /expected an array, got null$/],
    ['{"domains":{}}', 'domains', /expected an array, got an object$/],
    ['{"domains":[null]}', 'domains[0]', /expected an object, got null$/],
    ['{"domains":[{"name":"a","plugins":[]},{}]}', 'domains[1].name', /expected a string, got nothing$/],
    ['{"domains":[{"name":7,"plugins":[]}]}', 'domains[0].name', /expected a string, got 7$/],
    ['{"domains":[{"name":"","plugins":[]}]}', 'domains[0].name', /expected a string that is not empty, got ""$/],
    ['{"domains":[],"general":[]}', 'general', /expected an object, got an array of 0$/],
    ['{"domains":[],"general":{"skip_domains":"a"}}', 'general.skip_domains', /expected an array, got "a"$/],
    ['{"domains":[],"plugins":{}}', 'plugins', /expected an array, got an object$/],
    ['{"domains":[],"plugins":[null]}', 'plugins[0]', /expected a plugin, or the id of one, got null$/],
    ['{"domains":[],"plugins":[{"phase":"log"}]}', 'plugins[0].name', /characters, got nothing$/],
    ['{"domains":[{"name":"a","plugins":[null]}]}', 'domains[0].plugins[0]', /or the id of one, got null$/],
    ['{"domains":[{"name":"a","plugins":[[1]]}]}', 'domains[0].plugins[0]', /got an array of 1$/],
    ['{"domains":[{"name":"a","plugins":[""]}]}', 'domains[0].plugins[0]', /got ""$/],
    ['{"domains":[{"name":"a","plugins":[{"name":8}]}]}', 'domains[0].plugins[0].name', /characters, got 8$/],
    [
      `{"domains":[{"name":"a","plugins":[{"name":"${'x'.repeat(2e6)}"}]}]}`,
      'domains[0].plugins[0].name',
      /got "x+…"$/,
    ],
  ])('refused frame %#', (text, path, message) => {
    const error = frameFault(text)
    expect(error).toMatchObject({ code: 'ERR_DYNACODE_DOCUMENT', path })
    expect(error.message).toMatch(message)
    expect(error.message.length).toBeLessThan(200)
  })
})

describe('a document over a cap is refused whole, with the cap’s name', () => {
  test.each([
    [
      { max_domains: 1 },
      { domains: [{ name: 'a', plugins: [] }, { name: 'b' }] },
      'domains',
      'expected at most 1 (max_domains), got 2',
    ],
    [
      { max_plugins: 2 },
      { ...withPlugins(1, 1), plugins: [plugin({ id: 1 })] },
      'domains[0].plugins',
      'expected at most 2 (max_plugins), got 3',
    ],
    [{ max_plugins: 1 }, { domains: [], plugins: [1, 2] }, 'plugins', 'expected at most 1 (max_plugins), got 2'],
    [
      { max_code_bytes: 5 },
      withPlugins(plugin({ code: '"ééé"' })),
      'domains[0].plugins[0].code',
      'expected at most 5 (max_code_bytes), got 8',
    ],
    [
      { max_code_bytes: 5 },
      { domains: [], plugins: [plugin({ id: 1, code: '123456' })] },
      'plugins[0].code',
      'expected at most 5 (max_code_bytes), got 6',
    ],
  ])('%j', (caps, document, path, message) => {
    const readIt = (rules: object) => readDocument(JSON.stringify(document), { ...RULES, ...rules })
    expect(() => readIt(caps)).toThrow(new DocumentError(path, message))
    const [cap = '', limit = 0] = Object.entries(caps)[0] ?? []
    const enough = { max_domains: 1, max_plugins: 1, max_code_bytes: 3 }[cap] ?? 0
    expect(() => readIt({ [cap]: limit + enough })).not.toThrow(/max_/)
  })
})

describe('hostile JSON', () => {
  test('changes no prototype, and its __proto__ keys are ignored wherever they stand', () => {
    const text = `{
      "__proto__": { "polluted": 1 },
      "domains": [{ "name": "a.com", "plugins": [{
        "name": "p", "phase": "log", "code": "", "__proto__": { "phase": "access" },
        "params": { "__proto__": { "polluted": 2 }, "\\u005f_proto__": { "polluted": 3 },
                    "constructor": { "prototype": { "polluted": 4 } },
                    "kept": { "__proto__": { "polluted": 5 }, "deep": [{ "__proto__": { "polluted": 6 }, "x": 7 }] } } }] }] }`
    const [spec] = pluginsOf(readDocument(text)) as [PluginSpec]
    expect(spec.phase).toBe('log')
    expect(JSON.stringify(spec.params)).toBe('{"kept":{"deep":[{"x":7}]}}')
    expect(Object.getPrototypeOf(spec.params)).toBe(Object.prototype)
    expect(({} as { polluted?: number }).polluted).toBeUndefined()
  })

  test('may name plugins, domains and ids after what every object has', () => {
    const names = ['constructor', 'toString', 'hasOwnProperty', '__proto__', 'valueOf']
    const { domains } = read({
      domains: names.map((name) => ({ name, plugins: [plugin({ name }), name] })),
      plugins: names.map((name) => ({ id: name, name: `shared ${name}`, phase: 'log', code: '' })),
    })
    expect(domains).toMatchObject(names.map((name) => ({ name, plugins: [{ name }, { name: `shared ${name}` }] })))
    expect(domains.filter((domain) => 'error' in domain || domain.plugins.some((spec) => 'error' in spec))).toEqual([])
  })

  test.each([
    ['where nobody looks', (deep: string) => `{"domains":[],"x":${deep}}`],
    ['as a __proto__', (deep: string) => `{"domains":[],"__proto__":${deep}}`],
  ])('10 000 levels deep %s is read as if it were not there', (_, wrap) => {
    expect(readDocument(wrap(brackets(10_000))).domains).toEqual([])
  })

  test.each([
    [(deep: string) => `{"domains":${deep}}`, 'domains[0]'],
    [(deep: string) => `{"domains":[{"name":"a","plugins":${deep}}]}`, 'domains[0].plugins[0]'],
    [(deep: string) => deep, ''],
  ])('10 000 levels deep in place of something else is refused (%#)', (wrap, path) => {
    expect(frameFault(wrap(brackets(10_000))).path).toBe(path)
  })
})

test('what was read is frozen', () => {
  const document = read({
    general: { skip_domains: ['a', '('] },
    domains: [{ name: 'a', plugins: [plugin(), plugin(), 5] }, { name: 'b' }],
  })
  const { skip, domains, faults } = document
  const parts = [document, skip, domains, faults, ...domains, ...pluginsOf(document)]
  expect(parts.filter((part) => !Object.isFrozen(part))).toEqual([])
})

/** Any JSON value, with the words that documents are made of among its keys and values. */
const anyJson = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 5 },
    fc.constantFrom(
      null,
      true,
      0,
      1,
      -1,
      1.5,
      '',
      'a.com',
      '*',
      '(',
      'access',
      'log',
      'enabled',
      '__proto__',
      'closed',
    ),
    fc.string(),
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(
      fc.oneof(
        fc.constantFrom('general', 'domains', 'plugins', 'name', 'id', 'phase', 'code', 'params', 'priority'),
        fc.constantFrom('on_failure', 'status', 'skip_domains', 'version', '__proto__', 'constructor'),
      ),
      tie('value'),
      { maxKeys: 5 },
    ),
  ),
})).value

describe('whatever comes', () => {
  const isReadOrRefused = (text: string) => {
    try {
      const { domains, faults } = readDocument(text)
      const errors = domains.flatMap((domain) =>
        'error' in domain ? [domain.error] : domain.plugins.flatMap((spec) => ('error' in spec ? [spec.error] : [])),
      )
      for (const error of [...errors, ...faults]) expect(error).toBeInstanceOf(DocumentError)
    } catch (error) {
      expect(error).toBeInstanceOf(DocumentError)
    }
    expect(Object.keys(Object.prototype)).toEqual([])
  }

  test('as text is read or refused with a DocumentError', () => {
    fc.assert(fc.property(fc.oneof(fc.string(), fc.string({ unit: 'grapheme' })), isReadOrRefused), tries(100))
  })

  test('as JSON is read or refused with a DocumentError', () => {
    fc.assert(
      fc.property(anyJson, (value) => isReadOrRefused(JSON.stringify(value))),
      tries(125),
    )
  })

  test('in the place of a domain, a plugin or a field is read or refused with a DocumentError', () => {
    fc.assert(
      fc.property(anyJson, anyJson, (item, field) => {
        const faulty = plugin({ params: field, id: field, priority: field, on_failure: field })
        isReadOrRefused(JSON.stringify({ general: field, domains: [{ name: 'a', plugins: [1, faulty, item] }] }))
        isReadOrRefused(
          JSON.stringify({ domains: [{ name: 'a', plugins: [1] }, item], plugins: [{ ...faulty, id: 1 }] }),
        )
        isReadOrRefused(JSON.stringify({ domains: [{ name: 'a', plugins: field }], plugins: [faulty, item] }))
      }),
      tries(75),
    )
  })
})

describe('an id that JSON does not tell from another one', () => {
  const BIG = '9007199254740993'
  const read = (text: string) => readDocument(text)

  test('refers to no plugin, and refuses the entry alone', () => {
    const { domains } = read(
      `{"domains":[{"name":"a.com","plugins":[${BIG},{"id":${BIG}},{"name":"q","phase":"log","code":""}]}],"plugins":[{"id":9007199254740992,"name":"p","phase":"log","code":""}]}`,
    )
    const [first] = domains as unknown as { plugins: { name?: string; error?: Error }[] }[]
    expect(first?.plugins.map(({ error }) => error?.message)).toEqual([
      expect.stringContaining('9007199254740991'),
      expect.stringContaining('9007199254740991'),
      undefined,
    ])
  })

  test('is none of a shared plugin either; what is not used is a fault that is told', () => {
    const { faults } = read(`{"domains":[],"plugins":[{"id":${BIG},"name":"p","phase":"log","code":""}]}`)
    expect(faults.map(({ path }) => path)).toEqual(['plugins[0].id'])
  })
})
