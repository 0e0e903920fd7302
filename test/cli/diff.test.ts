import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { diffLines } from '../../lib/tools/line-changes.ts'
import { callCommand, callJson } from '../fixtures/command-line.ts'
import { makeFolder, writeFiles } from '../fixtures/plugin-folder.ts'
import { tries } from '../fixtures/tries.ts'

const LIMIT = { name: 'limit', phase: 'access', code: 'const key = ctx.ip\nif (key) exit(429)\nlog(1)\nlog(2)\nlog(3)' }

const DEFAULTS = ['priority: 0', 'on_failure: open', 'guard: on', 'budget_ms: 50', 'timeout_ms: 5000']

/** What a plugin may find in `params`: JSON, in which -0 is 0, without what would change prototypes. */
const PARAMS = fc
  .dictionary(fc.constantFrom('a', 'b', 'a.b'), fc.jsonValue({ maxDepth: 2 }), { noNullPrototype: true })
  .map((value) => JSON.parse(JSON.stringify(value), (key, held) => (key === '__proto__' ? undefined : held)))

function write(before: unknown, after: unknown): [string, string] {
  const folder = makeFolder()
  writeFiles(folder, { 'a.json': before, 'b.json': after })
  return [join(folder, 'a.json'), join(folder, 'b.json')]
}

const documentOf = (plugins: readonly unknown[], more: object = {}) => ({
  domains: [{ name: 'a.com', plugins }],
  ...more,
})

describe('dynacode diff', () => {
  test('shows in words and as code what is different', async () => {
    const [a, b] = write(
      documentOf([
        { ...LIMIT, rollout: { percent: 10 } },
        { name: 'cors', phase: 'log', code: 'log(1)' },
      ]),
      documentOf([
        { ...LIMIT, rollout: { percent: 50 }, code: LIMIT.code.replace('if (key)', 'if (params.on)') },
        { name: 'hello', phase: 'content', code: "say('hi')", when: { paths: '/hello' } },
      ]),
    )
    const { exit_code, output } = await callCommand('diff', a, b)
    expect(exit_code).toBe(1)
    expect(output.split('\n')).toEqual([
      'changed limit (access, a.com)',
      '  rollout.percent: 10 → 50',
      '    const key = ctx.ip',
      '  - if (key) exit(429)',
      '  + if (params.on) exit(429)',
      '    log(1)',
      '    log(2)',
      'removed cors (log, a.com)',
      ...['enabled: true', 'mode: live', ...DEFAULTS].map((field) => `  ${field}`),
      '  - log(1)',
      'added hello (content, a.com)',
      ...['enabled: true', 'mode: live', 'when.paths: /hello', ...DEFAULTS].map((field) => `  ${field}`),
      "  + say('hi')",
    ])
  })

  test('shows every field that a new plugin runs with, and those of objects each by itself', async () => {
    const params = { limit: 5, per: { address: true } }
    const runs = { on_failure: 'closed', guard: 'strict', budget_ms: 20, priority: 7, params, mode: 'shadow' }
    const rollout = { percent: 10, by: 'cookie:sid', stop_when: { error_rate: 0.1, p99_ms: { above_control: 5 } } }
    const [a, b] = write(
      documentOf([]),
      documentOf([{ ...LIMIT, ...runs, rollout, starts_at: '2027-01-01T00:00:00Z' }]),
    )
    const [added] = await callJson('diff', a, b)
    expect(added.changes).toEqual([
      'enabled: true',
      'mode: shadow',
      'rollout.percent: 10',
      'rollout.by: cookie:sid',
      'rollout.stop_when.error_rate: 0.1',
      'rollout.stop_when.p99_ms.above_control: 5',
      'rollout.stop_when.min_runs: 20',
      'rollout.stop_when.window: 600s',
      'starts_at: 2027-01-01T00:00:00.000Z',
      'params.limit: 5',
      'params.per.address: true',
      'priority: 7',
      'on_failure: closed',
      'guard: strict',
      'budget_ms: 20',
      'timeout_ms: 5000',
    ])
    const [removed] = await callJson('diff', b, a)
    expect(removed).toMatchObject({ kind: 'removed', code: { before: LIMIT.code, after: '' } })
    expect(removed.changes).toEqual(added.changes)
    expect(removed.fields).toContainEqual({ name: 'params.limit', before: '5', after: null })
  })

  test('sees nothing where the same is written otherwise', async () => {
    const [a, b] = write(
      documentOf([LIMIT], { general: { status: 'enabled' } }),
      documentOf([7], { plugins: [{ id: 7, ...LIMIT, priority: 0, enabled: true, on_failure: 'open' }] }),
    )
    const { exit_code, output } = await callCommand('diff', a, b)
    expect({ exit_code, output }).toEqual({ exit_code: 0, output: 'no differences' })
  })

  test('sees domains that come and go, and what concerns the document', async () => {
    const [a, b] = write(
      {
        domains: [
          { name: 'a.com', plugins: [] },
          { name: 'c', plugins: [] },
        ],
      },
      {
        general: { status: 'off', skip_domains: ['*.x'] },
        domains: [
          { name: '(', plugins: [] },
          { name: 'c', plugins: [] },
        ],
      },
    )
    expect(await callJson('diff', a, b)).toMatchObject([
      {
        kind: 'changed',
        domain: null,
        changes: ['general.status: enabled → disabled', 'general.skip_domains: none → ["*.x"]'],
      },
      { kind: 'removed', domain: 'a.com', plugin: null },
      { kind: 'added', domain: '(', plugin: null },
    ])
  })

  test('sees another order, but no other one for what is new', async () => {
    const named = (name: string) => ({ name, phase: 'log', code: '' })
    const [a, b] = write(documentOf(['x', 'y'].map(named)), documentOf(['n', 'y', 'x'].map(named)))
    expect(await callJson('diff', a, b)).toMatchObject([
      { kind: 'changed', plugin: null, changes: ['order in log: x, y → y, x'] },
      { kind: 'added', plugin: 'n' },
    ])
  })

  test('sees every change of params that a plugin could see', () =>
    fc.assert(
      fc.asyncProperty(PARAMS, PARAMS, async (one, other) => {
        const [a, b] = write(documentOf([{ ...LIMIT, params: one }]), documentOf([{ ...LIMIT, params: other }]))
        const differences = await callJson('diff', a, b)
        expect(differences.length > 0).toBe(!isDeepStrictEqual(one, other))
      }),
      {
        ...tries(60),
        examples: [
          [{ a: 5 }, { a: '5' }],
          [{ a: null }, {}],
          [{ a: [] }, {}],
          [{ a: {} }, {}],
          [{ a: { b: 1 } }, { 'a.b': 1 }],
        ],
      },
    ))

  test('shows all of a plugin that was refused and now runs', async () => {
    const [a, b] = write(documentOf([{ ...LIMIT, code: 7 }]), documentOf([{ ...LIMIT, params: { max: 3 } }]))
    const [mended] = await callJson('diff', a, b)
    expect(mended.fields).toContainEqual({ name: 'params.max', before: null, after: '3' })
    expect(mended.changes[0]).toMatch(/^refused: .*expected a string.* → none$/)
    expect(mended.code).toEqual({ before: '', after: LIMIT.code })
  })

  test('sees a plugin that is now refused, and one in another phase', async () => {
    const [a, b] = write(
      documentOf([LIMIT, { name: 'x', phase: 'log', code: '' }]),
      documentOf([
        { ...LIMIT, code: 1 },
        { name: 'x', phase: 'content', code: '' },
      ]),
    )
    const [refused, ...moved] = await callJson('diff', a, b)
    expect(refused).toMatchObject({ kind: 'changed', plugin: 'limit' })
    expect(refused.changes[0]).toContain('refused: none → domains[0].plugins[0].code: expected a string')
    expect(moved).toMatchObject([
      { kind: 'removed', phase: 'log' },
      { kind: 'added', phase: 'content' },
    ])
  })

  test('fails with 2 for what is no document', async () => {
    const [a, b] = write({ domains: [] }, 'x')
    expect(await callCommand('diff', a, b)).toMatchObject({
      exit_code: 2,
      errors: expect.stringContaining('b.json: the document is not JSON'),
    })
    expect(await callCommand('diff', a, `${b}x`)).toMatchObject({
      exit_code: 2,
      errors: expect.stringContaining('no such file'),
    })
  })
})

describe('lines', () => {
  test('of two texts are all there, in order', () => {
    const texts = fc.array(fc.constantFrom('a', 'b', 'c', ''), { maxLength: 12 }).map((lines) => lines.join('\n'))
    fc.assert(
      fc.property(texts, texts, (before, after) => {
        const changes = diffLines(before, after)
        const side = (without: string) =>
          changes
            .filter(({ kind }) => kind !== without)
            .map(({ line }) => line)
            .join('\n')
        expect(side('+')).toBe(before)
        expect(side('-')).toBe(after)
      }),
      tries(100),
    )
  })

  test('that stayed are few where few changed', () => {
    expect(diffLines('a\nb\nc', 'a\nx\nc').map(({ kind }) => kind)).toEqual([' ', '-', '+', ' '])
  })
})
