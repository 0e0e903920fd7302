import { check_document, compare_documents } from 'dynacode/tools'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { createCheck } from '../server/review/check-document.ts'
import { compareTexts } from '../server/review/compare-texts.ts'
import { createReviewer, type Reviewer } from '../server/review/reviewer.ts'
import { createTasks, SLICE } from '../server/review/tasks.ts'
import { WARM_THREADS } from './warm-threads.ts'

type Plugin = Record<string, unknown>
const plugin = (name: string, code: string, others: Plugin = {}) => ({ name, phase: 'access', code, ...others })
const textOf = (domains: Record<string, readonly unknown[]>, others: object = {}) =>
  JSON.stringify({
    general: {},
    domains: Object.entries(domains).map(([name, plugins]) => ({ name, plugins })),
    ...others,
  })
const sound = plugin('sound', 'exit(403)', { on_failure: 'open' })
const broken = plugin('broken', 'exit(')
const unknown = plugin('unknown', 'nobody()')

describe('the check that remembers', () => {
  const documents = [
    textOf({ a: [sound, broken] }),
    textOf({ b: [unknown], a: [sound, plugin('twin', 'nobody()'), broken], '(c': [] }),
    textOf({ a: [broken, sound], d: [broken, unknown], 'x.example': [plugin('phase', '1', { phase: 'none' })] }),
    textOf({ a: [] }, { general: { skip_domains: [5, 'y.example'] } }),
    textOf({ a: [unknown, unknown] }),
    textOf({ a: [1] }, { plugins: [{ id: 1, ...unknown }] }),
    textOf({ a: [sound, broken] }),
  ]

  test('finds in each document what the check of the whole finds', async () => {
    const check = createCheck([])
    for (const text of documents) {
      const sorted = (found: readonly object[]) => found.map((each) => JSON.stringify(each)).sort()
      expect(sorted(await check(text))).toEqual(sorted((await check_document(text)).findings))
    }
  })

  test('knows the names of the app', async () => {
    expect(await createCheck(['nobody'])(textOf({ '*': [unknown] }))).not.toContainEqual(
      expect.objectContaining({ rule: 'unknown-name' }),
    )
  })
})

test('compares as the comparison of the whole does, but for what every version has of its own', () => {
  const before = textOf({ a: [sound, broken], b: [sound], c: [sound] }, { general: { version: 1 } })
  const after = textOf(
    { c: [sound], a: [broken, sound], d: [unknown] },
    { general: { version: 2, status: 'disabled' } },
  )
  const whole = compare_documents(before, after.replace('"version":2', '"version":1'))
  expect(compareTexts(before, after)).toEqual(whole)
  expect(whole.length).toBeGreaterThan(3)
  expect(compareTexts(before, before.replace('"version":1', '"version":2'))).toEqual([])
})

test('gives out long lists in parts, those of errors first', async () => {
  const tasks = createTasks([])
  const many = Array.from({ length: SLICE + 5 }, (_, at) => plugin(`p${at}`, `ctx.set('a', '${at}')`, { phase: 'log' }))
  const { differences, findings, errors } = await tasks.review('it', textOf({}), textOf({ '*': [...many, broken] }))
  expect(differences).toMatchObject({ items: { length: SLICE }, total: SLICE + 7 })
  expect(findings).toMatchObject({ items: { length: SLICE, 0: { severity: 'error', plugin: 'broken' } } })
  expect(errors).toBe(1)
  expect((await tasks.readDifferences('it', SLICE))?.items).toHaveLength(7)
  expect(await tasks.readFindings('other', 0)).toBeUndefined()
})

describe('in threads', () => {
  let reviewer: Reviewer
  afterEach(() => reviewer.close())

  test('leaves the event loop alone while it checks', async () => {
    reviewer = createReviewer([], WARM_THREADS)
    await reviewer.review('first', textOf({}), textOf({}))
    const many = Array.from({ length: 1500 }, (_, at) => plugin(`p${at}`, `if (ctx.path === '/${at}') exit(403)`))
    let turns = 0
    const timer = setInterval(() => {
      turns += 1
    }, 1)
    const { differences } = await reviewer.review('large', textOf({}), textOf({ '*': many }))
    clearInterval(timer)
    expect(differences.total).toBe(many.length + 1)
    expect(turns).toBeGreaterThan(10)
  })

  test('tells what went wrong, and goes on', async () => {
    reviewer = createReviewer([], WARM_THREADS)
    await expect(reviewer.compare('{', '{}', 0)).rejects.toThrow(/JSON/)
    await expect(reviewer.check('{"domains":[]}')).resolves.toMatchObject({ total: 0 })
  })

  test('refuses what is asked after it was closed, and what waits then', async () => {
    reviewer = createReviewer([], WARM_THREADS)
    const waiting = reviewer.check('{"domains":[]}')
    const refused = expect(waiting).rejects.toMatchObject({ status: 503 })
    await reviewer.close()
    await refused
    await vi.waitFor(() => expect(reviewer.check('{}')).rejects.toMatchObject({ status: 503 }))
  })
})
