import { describe, expect, test } from 'vitest'
import { readDocument } from '../../../lib/background/reading/validator.ts'
import type { PluginSpec, RefusedPlugin } from '../../../lib/document.ts'
import { DocumentError } from '../../../lib/errors.ts'

const RULES = {
  guard: 'on',
  budget_ms: 50,
  timeout_ms: 5000,
  max_domains: 10,
  max_plugins: 10,
  max_code_bytes: 1000,
} as const
const plugin = (fields: object = {}) => ({ name: 'p', phase: 'access', code: 'exit(401)', ...fields })

function readAll(raw: unknown, shared: unknown[] = []): readonly (PluginSpec | RefusedPlugin)[] {
  return readText(JSON.stringify({ domains: [{ name: 'a.com', plugins: [raw] }], plugins: shared }))
}

function readText(text: string): readonly (PluginSpec | RefusedPlugin)[] {
  const [domain] = readDocument(text, RULES).domains
  if (domain === undefined || 'error' in domain) throw new Error('the domain was refused')
  return domain.plugins
}

function specOf(raw: unknown, shared: unknown[] = []): PluginSpec {
  const [first] = readAll(raw, shared)
  if (first === undefined || 'error' in first) throw new Error(`the plugin was refused: ${first?.error}`)
  return first
}

function faultOf(raw: unknown, shared: unknown[] = []): string {
  const [first] = readAll(raw, shared)
  if (first === undefined || !('error' in first)) throw new Error('the plugin was accepted')
  return first.error.message
}

test('code that a folder could not give is what the folder says is wrong, in its place', () => {
  const { code: _code, ...rest } = plugin()
  const of = (file: unknown) => faultOf({ ...rest, file })
  expect(of({ path: 'file', message: 'there is no file a.js' })).toMatch(/plugins\[0\]\.file: there is no file a\.js$/)
  // Written by somebody else, it is an unknown field, beside code that is missing.
  for (const file of ['a.js', { path: 'file' }, { path: 1, message: 'x' }]) expect(of(file)).toMatch(/code/)
})

describe('which requests a plugin is for', () => {
  test('is read with everything that says it', () => {
    const when = { methods: 'GET', paths: ['/a'], not: { ips: '10.0.0.0/8' } }
    const { scope, shadow, shadow_allows } = specOf(
      plugin({
        enabled: false,
        mode: 'shadow',
        shadow_allows: ['fetch'],
        when,
        rollout: { percent: 10, by: 'cookie:sid' },
        starts_at: '2030-01-01T00:00:00Z',
        expires_at: '2030-01-01T01:00:00.5+01:00',
      }),
    )
    expect(scope).toEqual({
      enabled: false,
      when,
      share: { by: 'cookie:sid', from: 0, to: 10, salt: 'p' },
      starts_at: Date.UTC(2030, 0, 1),
      expires_at: Date.UTC(2030, 0, 1) + 500,
    })
    expect([shadow, shadow_allows]).toEqual([true, ['fetch']])
    expect(Object.isFrozen(scope)).toBe(true)
  })

  test.each([
    {},
    { enabled: null, mode: null, shadow_allows: null, when: null, rollout: null, variants: null },
    { starts_at: null, expires_at: null, enabled: true, mode: 'live', shadow_allows: [], when: undefined },
  ])('is every request where nothing says otherwise: %j', (fields) => {
    const { scope, shadow, shadow_allows } = specOf(plugin(fields))
    expect(scope).toEqual({
      enabled: true,
      when: undefined,
      share: undefined,
      starts_at: undefined,
      expires_at: undefined,
    })
    expect([shadow, shadow_allows]).toEqual([false, []])
  })
})

describe('a fault in what narrows a plugin down refuses the plugin, with the path', () => {
  const TIME = 'expected an ISO 8601 time with its zone, such as "2030-01-31T12:00:00Z"'

  test.each<[object, string]>([
    [{ when: { path: '/a' } }, '.when.path: unknown field. Did you mean `paths`?'],
    [{ when: { not: { ip: '::1' } } }, '.when.not.ip: unknown field. Did you mean `ips`?'],
    [{ when: { paths: null } }, '.when.paths: expected a string or an array, got null'],
    [{ when: 'GET' }, '.when: expected an object, got "GET"'],
    [{ when: [] }, '.when: expected an object, got an array of 0'],
    [{ rollout: {} }, '.rollout.percent: expected a number, got nothing'],
    [{ rollout: { by: 'ip' } }, '.rollout.percent: expected a number, got nothing'],
    [{ rollout: { percent: 10, sticky: true } }, '.rollout.sticky: unknown field'],
    [{ rollout: 10 }, '.rollout: expected an object, got 10'],
    [{ enabled: 'false' }, '.enabled: expected a boolean, got "false"'],
    [{ enabled: 0 }, '.enabled: expected a boolean, got 0'],
    [{ mode: 'dry' }, '.mode: expected one of "live", "shadow", got "dry"'],
    [{ shadow_allows: ['net'] }, '.shadow_allows[0]: expected one of "fetch", "store", got "net"'],
    [{ starts_at: 'tomorrow' }, `.starts_at: ${TIME}, got "tomorrow"`],
    [{ expires_at: '2030-01-01T00:00:00' }, `.expires_at: ${TIME}, got "2030-01-01T00:00:00"`],
    [{ expires_at: '2030-02-30T00:00:00Z' }, `.expires_at: ${TIME}, got "2030-02-30T00:00:00Z"`],
    [{ expires_at: 1893456000 }, '.expires_at: expected a string, got 1893456000'],
    [{ variants: [] }, '.variants: expected an array of at least 1, got an array of 0'],
    [{ variants: [{ name: 'a', code: '', percent: 1 }] }, '.variants: expected either code or variants, got both'],
  ])('%j', (fields, fault) => {
    expect(faultOf(plugin(fields))).toBe(`domains[0].plugins[0]${fault}`)
  })

  // Dropped as they are elsewhere, they would leave a plugin that is for more requests than was meant.
  test.each([
    ['when', '{ "headers": { "x-a": "1", "__proto__": { "present": true } } }'],
    ['when', '{ "__proto__": { "paths": "/admin" } }'],
    ['when', '{ "paths": "/a", "not": { "query": { "constructor": { "prototype": { "regex": "a" } } } } }'],
    ['when', '{ "headers": { "\\u005f_proto__": "x", "x-a": "1" } }'],
    ['rollout', '{ "percent": 10, "__proto__": { "by": "ip" } }'],
  ])('%s: %s', (field, text) => {
    const document = (inside: string, shared: string) =>
      `{ "domains": [{ "name": "a.com", "plugins": [${inside}] }], "plugins": [${shared}] }`
    const fields = `"name": "p", "phase": "access", "code": "", "${field}": ${text}`
    for (const [inside, shared, path] of [
      [`{ ${fields} }`, '', 'domains[0].plugins[0]'],
      ['1', `{ "id": 1, ${fields} }`, 'plugins[0]'],
      [
        `{ "id": 1, "${field}": ${text} }`,
        '{ "id": 1, "name": "p", "phase": "access", "code": "" }',
        'domains[0].plugins[0]',
      ],
    ] as const) {
      const [refused] = readText(document(inside, shared)) as [RefusedPlugin]
      expect(refused).toMatchObject({ name: 'p', error: expect.any(DocumentError) })
      expect(refused.error.message).toBe(
        `${path}.${field}: expected an object, got "an object with a key __proto__ or constructor"`,
      )
    }
  })

  test('in a plugin of which enough can be told to know what to do without it', () => {
    const fields = { on_failure: 'closed', mode: 'shadow', enabled: false, expires_at: '2030-01-01T00:00:00Z' }
    const known = { on_failure: 'closed', shadow: true, scope: { enabled: false, expires_at: Date.UTC(2030, 0, 1) } }
    expect(readAll(plugin({ ...fields, when: 1 }))).toEqual([expect.objectContaining(known)])
    expect(readAll({ id: 1, when: 1 }, [plugin({ ...fields, id: 1 })])).toEqual([expect.objectContaining(known)])
    expect(readAll({ id: 1, enabled: true }, [plugin({ ...fields, id: 1, when: 1 })])).toEqual([
      expect.objectContaining({ ...known, scope: { ...known.scope, enabled: true } }),
    ])
    // What is no time ends nothing.
    for (const expires_at of ['1', 'soon', 5, null, '2020-01-01']) {
      const [refused] = readAll(plugin({ expires_at, when: 1 })) as [RefusedPlugin]
      expect(refused.scope).toEqual({ enabled: true, expires_at: undefined })
    }
  })
})

describe('a reference', () => {
  const shared = plugin({
    id: 1,
    params: { a: 1, b: { c: 2 } },
    priority: 3,
    enabled: false,
    mode: 'shadow',
    shadow_allows: ['store'],
    when: { paths: '/a', methods: 'GET' },
    rollout: { percent: 10, by: 'cookie:sid' },
    starts_at: '2030-01-01T00:00:00Z',
    expires_at: '2031-01-01T00:00:00Z',
  })
  const whole = specOf(1, [shared])

  test('takes over all that the plugin says', () => {
    const alone = { ...shared, id: undefined }
    const { id, ...rest } = whole
    expect(id).toBe(1)
    expect(rest).toEqual({ ...specOf(alone), id: undefined, path: 'domains[0].plugins[0]' } satisfies PluginSpec)
  })

  test.each<[object, object]>([
    [{ params: { b: 5 } }, { params: { a: 1, b: 5 } }],
    [{ priority: 0 }, { priority: 0 }],
    [{ mode: 'live' }, { shadow: false }],
    [{ shadow_allows: [] }, { shadow_allows: [] }],
    [{ enabled: true }, { scope: { ...whole.scope, enabled: true } }],
    [{ when: { methods: 'PUT' } }, { scope: { ...whole.scope, when: { methods: 'PUT' } } }],
    [{ when: {} }, { scope: { ...whole.scope, when: {} } }],
    [{ rollout: { percent: 20 } }, { scope: { ...whole.scope, share: { by: 'ip', from: 0, to: 20, salt: 'p' } } }],
    [{ name: 'q' }, { name: 'q', scope: { ...whole.scope, share: { ...whole.scope.share, salt: 'q' } } }],
    [{ expires_at: '2030-06-01T00:00:00Z' }, { scope: { ...whole.scope, expires_at: Date.UTC(2030, 5, 1) } }],
    [{ when: null, rollout: null, enabled: null, mode: null, priority: null, params: null, starts_at: null }, {}],
  ])('replaces with %j', (fields, changed) => {
    expect(specOf({ id: 1, ...fields }, [shared])).toEqual({ ...whole, ...changed })
  })

  test('leaves the plugin itself, and its other references, as they are', () => {
    const [, second] = readText(
      JSON.stringify({
        domains: [{ name: 'a.com', plugins: [{ id: 1, name: 'q', params: { a: 9 }, when: {} }, 1] }],
        plugins: [shared],
      }),
    )
    expect(second).toEqual({ ...whole, path: 'domains[0].plugins[1]' })
  })

  test('with a fault is refused by itself, and named at its own place', () => {
    expect(faultOf({ id: 1, when: { paths: 'a' } }, [shared])).toBe(
      'domains[0].plugins[0].when.paths: expected a path that begins with /, got "a"',
    )
  })
})

describe('variants', () => {
  const VARIANTS = [
    { name: 'old', code: '1', percent: 90 },
    { name: 'new', code: '2', percent: 10 },
  ]
  const split = (fields: object = {}) => plugin({ code: null, variants: VARIANTS, ...fields })

  test('become plugins of their own, side by side, that have all the rest in common', () => {
    const when = { paths: '/a' }
    const specs = readAll(split({ when, rollout: { by: 'header:x-user' }, params: { a: 1 }, priority: 2 }))
    const { scope, ...common } = specOf(plugin({ when, params: { a: 1 }, priority: 2 }))
    const share = { by: 'header:x-user', salt: 'p' }
    expect(specs).toEqual([
      { ...common, name: 'p/old', code: '1', scope: { ...scope, share: { ...share, from: 0, to: 90 } } },
      { ...common, name: 'p/new', code: '2', scope: { ...scope, share: { ...share, from: 90, to: 100 } } },
    ])
  })

  test('are counted by address unless something else is said, and need not add up to 100', () => {
    const third = { code: '', percent: 33.333 }
    const thirds = ['a', 'b', 'c'].map((name) => ({ ...third, name }))
    const specs = readAll(split({ variants: thirds })) as PluginSpec[]
    expect(specs.map(({ scope }) => scope.share)).toMatchObject([
      { by: 'ip', from: 0 },
      { from: 33.333, to: 66.666 },
      { from: 66.666, to: expect.closeTo(99.999) },
    ])
    expect(specs[0]?.scope.share?.to).toBe(specs[1]?.scope.share?.from)
  })

  test('can be shared, and narrowed down by a reference', () => {
    const specs = readAll({ id: 1, rollout: { by: 'random' }, when: { methods: 'GET' } }, [split({ id: 1 })])
    expect(specs).toMatchObject([
      { name: 'p/old', scope: { share: { by: 'random' }, when: { methods: 'GET' } } },
      { name: 'p/new', scope: { share: { by: 'random' }, when: { methods: 'GET' } } },
    ])
  })

  test.each<[object, string]>([
    [{ rollout: { percent: 50 } }, '.rollout.percent: expected the percentages in the variants alone, got one here'],
    [
      { variants: [...VARIANTS, { name: 'c', code: '', percent: 0.01 }] },
      '.variants: expected at most 100 percent in all, got 100.01',
    ],
    [{ variants: [{ name: 'a', code: '' }] }, '.variants[0].percent: expected a finite number, got nothing'],
    [{ variants: [{ name: 'a', code: null, percent: 1 }] }, '.variants[0].code: expected a string, got null'],
    [
      { variants: [{ name: '', code: '', percent: 1 }] },
      '.variants[0].name: expected a string that is not empty, got ""',
    ],
    [{ variants: [{ ...VARIANTS[0], when: {} }] }, '.variants[0].when: unknown field'],
    [{ variants: [{ ...VARIANTS[0], percent: -1 }] }, '.variants[0].percent: expected a number of at least 0, got -1'],
    [{ variants: { old: '' } }, '.variants: expected an array, got an object'],
    [{ when: { path: '/' } }, '.when.path: unknown field. Did you mean `paths`?'],
  ])('with a fault anywhere refuse the plugin whole: %j', (fields, fault) => {
    expect(readAll(split(fields))).toHaveLength(1)
    expect(faultOf(split(fields))).toBe(`domains[0].plugins[0]${fault}`)
  })

  test('of one name: the second is refused', () => {
    const [first, second] = readAll(split({ variants: [VARIANTS[0], { ...VARIANTS[1], name: 'old' }] }))
    expect(first).toMatchObject({ name: 'p/old', code: '1' })
    expect(second).toMatchObject({ name: 'p/old', error: expect.any(DocumentError) })
  })

  test('count as plugins, and their code as code', () => {
    const many = Array.from({ length: 11 }, (_, index) => ({ name: `v${index}`, code: '', percent: 1 }))
    expect(() => readAll(split({ variants: many }))).toThrow(
      new DocumentError('domains[0].plugins[0].variants', 'expected at most 10 (max_plugins), got 11'),
    )
    expect(readAll(split({ variants: many.slice(1) }))).toHaveLength(10)
    const long = [{ name: 'a', code: 'x'.repeat(1001), percent: 1 }]
    expect(() => readAll(split({ variants: long }))).toThrow(
      new DocumentError('domains[0].plugins[0].variants[0].code', 'expected at most 1000 (max_code_bytes), got 1001'),
    )
    expect(() => readAll(1, [split({ id: 1, variants: long })])).toThrow(
      new DocumentError('plugins[0].variants[0].code', 'expected at most 1000 (max_code_bytes), got 1001'),
    )
    for (const strange of [[null], [1], ['code'], [[]], [{ code: {} }]]) {
      expect(readAll(split({ variants: strange }))).toMatchObject([{ name: 'p', error: expect.any(DocumentError) }])
    }
  })
})
