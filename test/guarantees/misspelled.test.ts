import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { readBytes } from '../../lib/background/reading/document-reader.ts'
import { NO_TEXT } from '../../lib/background/reading/live-text.ts'
import { readDocument } from '../../lib/background/reading/validator.ts'
import type { Document } from '../../lib/document.ts'
import { everywhere, startApp } from '../fixtures/app.ts'
import { payloadsOf, record } from '../fixtures/instance.ts'
import { tries } from '../fixtures/tries.ts'

const RULES = {
  guard: 'on',
  budget_ms: 50,
  timeout_ms: 5000,
  max_domains: 99,
  max_plugins: 99,
  max_code_bytes: 9999,
} as const

const CONDITION = {
  methods: 'GET',
  paths: '/admin',
  paths_raw: '/admin',
  ips: '10.0.0.0/8',
  headers: { 'x-a': { regex: 'a' } },
  cookies: { a: { present: true } },
  query: { a: 'b' },
  user_agent: { regex: 'b' },
}
const FIELDS = {
  id: 'p',
  phase: 'access',
  enabled: true,
  mode: 'live',
  shadow_allows: ['store'],
  when: { ...CONDITION, not: CONDITION },
  starts_at: '2020-01-01T00:00:00Z',
  expires_at: '2999-01-01T00:00:00Z',
  params: { free: 1 },
  priority: 1,
  on_failure: 'open',
  guard: 'on',
  budget_ms: 50,
  timeout_ms: 50,
}
/** Has every field that there is. */
const RIGHT = {
  general: {
    status: 'enabled',
    skip_domains: ['a.com'],
    version: 1,
    expires: '2999-01-01T00:00:00Z',
    allow_removal: true,
  },
  domains: [
    {
      name: '*',
      plugins: [
        { ...FIELDS, name: 'p', code: 'exit(403)', rollout: { percent: 10, by: 'ip' } },
        {
          ...FIELDS,
          id: 2,
          name: 'v',
          variants: [{ name: 'a', code: 'exit(403)', percent: 10 }],
          rollout: { by: 'ip' },
        },
        { id: 7, name: 'r', when: { paths: '/r' }, params: { a: 1 } },
      ],
    },
  ],
  plugins: [{ id: 7, name: 's', phase: 'access', code: 'exit(403)', when: { paths: '/s' } }],
}

type Path = readonly (string | number)[]
/** What is below these has names of its author's own. */
const FREE = ['params', 'headers', 'cookies', 'query']

function listFields(value: unknown, path: Path = []): Path[] {
  if (typeof value !== 'object' || value === null) return []
  if (Array.isArray(value)) return value.flatMap((item, index) => listFields(item, [...path, index]))
  return Object.entries(value).flatMap(([key, inner]) => [
    [...path, key],
    ...(FREE.includes(key) ? [] : listFields(inner, [...path, key])),
  ])
}

/** The document with another name for one of its fields, at the same place. */
function rename(value: unknown, [key, ...rest]: Path, name: string): unknown {
  const entries = Object.entries(value as object).map(([each, inner]) => {
    if (each !== String(key)) return [each, inner]
    return rest.length === 0 ? [name, inner] : [each, rename(inner, rest, name)]
  })
  return Array.isArray(value) ? entries.map(([, inner]) => inner) : Object.fromEntries(entries)
}

/** The paths of what is refused, and what is left of the rest. */
function read(text: string): { refused: string[]; sound: string[] } {
  let document: Document
  try {
    document = readDocument(text, RULES)
  } catch (error) {
    return { refused: [(error as Error).message], sound: [] }
  }
  const parts = document.domains.flatMap((part): readonly object[] => ('error' in part ? [part] : part.plugins))
  const errors = [...document.faults, ...parts.flatMap((part) => ('error' in part ? [part.error as Error] : []))]
  const sound = parts.flatMap((part) =>
    'code' in part && !('error' in part) ? [String((part as { name?: unknown }).name)] : [],
  )
  return { refused: errors.map(({ message }) => message), sound }
}

/** The plugins that a field is of, or that depend on it; undefined: all of them. */
function ownersOf([top, at, list, nth]: Path): readonly string[] | undefined {
  if (top === 'plugins' && at !== undefined) return ['r']
  return top === 'domains' && list === 'plugins' && nth !== undefined
    ? [['p', 'v/a', 'r'][nth as number] as string]
    : undefined
}

const fields = listFields(RIGHT)
const LETTERS = 'abcdefghijklmnopqrstuvwxyzA_-é0'
const typo = fc
  .tuple(
    fc.constantFrom(...fields),
    fc.nat(20),
    fc.constantFrom('change', 'drop', 'add', 'swap', 'case'),
    fc.constantFrom(...LETTERS),
  )
  .map(([path, place, kind, letter]) => {
    const name = path.at(-1) as string
    const at = place % name.length
    const [before, here, after] = [name.slice(0, at), name.charAt(at), name.slice(at + 1)]
    const wrong = {
      change: before + letter + after,
      drop: before + after,
      add: before + letter + here + after,
      swap: before + after.slice(0, 1) + here + after.slice(1),
      case: before + here.toUpperCase() + after,
    }[kind]
    return { path, name, wrong }
  })
  .filter(({ wrong }) => wrong !== '' && !fields.some((path) => path.at(-1) === wrong))

describe('G52', () => {
  test('G52 has every plugin apply as long as every field is as it should be', () => {
    expect(read(JSON.stringify(RIGHT))).toEqual({ refused: [], sound: ['p', 'v/a', 'r'] })
  })

  test('G52 one wrong letter in any field at any level: what it is of is refused, whole or beside the live document', () => {
    fc.assert(
      fc.property(typo, ({ path, wrong }) => {
        const text = JSON.stringify(rename(RIGHT, path, wrong))
        const { refused, sound } = read(text)
        expect(refused.join()).toMatch(/unknown field/)
        // Beside the one at fault nothing is touched, and it does not run.
        const owners = ownersOf(path)
        expect(sound).toEqual(owners === undefined ? [] : ['p', 'v/a', 'r'].filter((name) => !owners.includes(name)))
        expect(readInParts(text)).toEqual(readWhole(text))
      }),
      tries(500),
    )
  })

  test.each([
    [{ whne: { paths: '/admin' } }, 'whne: unknown field. Did you mean `when`?'],
    [{ When: { paths: '/admin' } }, 'When: unknown field. Did you mean `when`?'],
    [{ startsAt: '2999-01-01T00:00:00Z' }, 'startsAt: unknown field. Did you mean `starts_at`?'],
    [{ 'expires-at': '2001-01-01T00:00:00Z' }, 'expires-at: unknown field. Did you mean `expires_at`?'],
    [{ expires: '2001-01-01T00:00:00Z' }, 'expires: unknown field. Did you mean `expires_at`?'],
    [{ rollouts: { percent: 1 } }, 'rollouts: unknown field. Did you mean `rollout`?'],
    [{ shadow: true }, 'shadow: unknown field. Did you mean `shadow_allows`?'],
    [{ when: { path: '/admin' } }, 'when.path: unknown field. Did you mean `paths`?'],
    [{ when: { not: { method: 'GET' } } }, 'when.not.method: unknown field. Did you mean `methods`?'],
    [{ rollout: { percent: 1, bye: 'ip' } }, 'rollout.bye: unknown field. Did you mean `by`?'],
    [{ when: { tenant: 'a' } }, 'when.tenant: unknown field'],
  ])(
    'G52 a plugin for some requests that says %j does not run for all: the one before it runs on',
    async (field, message) => {
      const guarded = { name: 'admin', phase: 'access', code: 'exit(403)' } as const
      const { api, dyna, request } = await startApp({
        plugins: [{ ...guarded, when: { paths: '/admin' } }],
        inner: 'app',
      })
      const seen = record(dyna)
      api.serve(everywhere([{ ...guarded, ...field }]))
      await dyna.refresh()
      await request.get('/').expect(200)
      await request.get('/admin').expect(403)
      expect(payloadsOf(seen, 'bg_compile_error')).toMatchObject([
        { plugin: { name: 'admin' }, kept_last_good: true, error: { message: `domains[0].plugins[0].${message}` } },
      ])
    },
  )

  test.each([
    [{ generel: { status: 'disabled' } }, 'generel: unknown field. Did you mean `general`?'],
    [{ general: { skip_domain: ['*'] } }, 'general.skip_domain: unknown field. Did you mean `skip_domains`?'],
    [{ general: { owner: 1, stauts: 'disabled' } }, 'general.stauts: unknown field. Did you mean `status`?'],
  ])('G52 a document that says %j is refused whole', async (field, message) => {
    const { api, dyna, request } = await startApp({ plugins: [], inner: 'app' })
    api.serve({ ...everywhere([{ name: 'all', phase: 'access', code: 'exit(403)' }]), ...field })
    expect(await dyna.refresh()).toMatchObject({ updated: false, reason: 'invalid', error: { message } })
    await request.get('/').expect(200)
  })

  test('G52 fields that are like no other are let by, and so are x- ones: the document may be of a newer version', () => {
    const more = { description: 'a', owner: 'b', 'x-when': 1, tags: [], title: 'c', labels: {} }
    const plugin = { ...more, name: 'p', phase: 'access', code: '' }
    const document = { ...more, $schema: 's', general: more, domains: [{ ...more, name: '*', plugins: [plugin] }] }
    expect(read(JSON.stringify(document))).toEqual({ refused: [], sound: ['p'] })
  })

  test('G52 what a misspelled plugin says of itself counts as it was meant, for its protection and its name', () => {
    const readPlugin = (plugin: object) => {
      const shared = [{ id: 7, name: 's', phase: 'access', code: '', on_failur: 'closed' }]
      const [domain] = readDocument(
        JSON.stringify({ domains: [{ name: '*', plugins: [plugin] }], plugins: shared }),
      ).domains
      return (domain as Exclude<Document['domains'][number], { error: Error }>).plugins[0]
    }
    const fields = { phase: 'access', code: '' }
    expect(readPlugin({ ...fields, nmae: 'p', on_failur: 'closed' })).toMatchObject({ name: 'p', on_failure: 'closed' })
    expect(readPlugin({ ...fields, name: 'p', on_failure: 'closed', Enabled: false })).toMatchObject({
      scope: { enabled: false },
    })
    expect(readPlugin({ name: 'p', code: '', on_failure: 'closed', Phase: 'access', Mode: 'shadow' })).toMatchObject({
      phase: 'access',
      shadow: true,
    })
    expect(readPlugin({ Id: 7 })).toMatchObject({ id: 7, name: 's', on_failure: 'closed' })
    expect(readPlugin({ id: 7, parms: {} })).toMatchObject({ id: 7, name: 's', on_failure: 'closed' })
  })
})

function outcome(action: () => unknown): unknown {
  try {
    return action()
  } catch (error) {
    return (error as Error).message
  }
}

const readWhole = (text: string) => outcome(() => readDocument(text, RULES))
const readInParts = (text: string) =>
  outcome(() => {
    const steps = readBytes(Buffer.from(text), RULES, NO_TEXT, 0)
    for (;;) {
      const { done, value } = steps.next()
      if (done) return value.document
    }
  })
