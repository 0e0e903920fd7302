import { createHash } from 'node:crypto'
import { beforeEach, describe, expect, test, vi } from 'vitest'
import { type Activator, createActivator } from '../../lib/background/activator.ts'
import { createBuilder } from '../../lib/background/builder.ts'
import { type Asked, askNow } from '../../lib/background/cache/asked.ts'
import { createCompiler } from '../../lib/background/compiling/compiler.ts'
import { createPreparation } from '../../lib/background/preparation.ts'
import type { Verifier } from '../../lib/background/trust/verifier.ts'
import { createEvents } from '../../lib/events/emitter.ts'
import type { LivePlugin, PluginLife, Program } from '../../lib/program.ts'
import { beginUnit } from '../../lib/request/rollout/unit.ts'

const RULES = {
  guard: 'on',
  budget_ms: 50,
  timeout_ms: 5000,
  max_domains: 100,
  max_plugins: 100,
  max_code_bytes: 1000,
} as const
const P = (name: string, code = '') => ({ name, phase: 'log', code })
const document = (plugins: object[], general: object = {}) => ({ general, domains: [{ name: '*', plugins }] })

const swap = vi.fn((_program: Program) => undefined)
const validated = vi.fn((_at: number) => undefined)
const end = vi.fn((_plugin: LivePlugin) => undefined)
let heard: string[]
let highest: number | undefined
let closing: AbortController

function noteHighest(version: number): void {
  highest = version
}

function create(max_removed_ratio = 1, verifier?: Verifier): Activator {
  const events = createEvents({})
  for (const name of ['on_error', 'bg_compile_success', 'bg_compile_error', 'bg_updated_plugins'] as const) {
    events.emitter.on(name, () => heard.push(name))
  }
  const builder = createBuilder(createCompiler({ compile_cache_max: 10, globals: {} }), {
    bind: () => () => undefined,
    begin: () => ({}) as PluginLife,
    end,
    quarantined: () => undefined,
    guardRollout: () => null,
    beginUnit,
  })
  return createActivator({
    preparation: createPreparation({
      rules: RULES,
      max_alike_expressions: 300,
      max_removed_ratio,
      highest: { get: () => highest, note: noteHighest, persist: vi.fn() },
      builder,
    }),
    verifier,
    builder,
    events,
    closing: closing.signal,
    swap,
    validated,
  })
}

function received(value: unknown, tag?: string, asked: Asked | undefined = askNow()) {
  const bytes = typeof value === 'string' ? Buffer.from(value, 'latin1') : Buffer.from(JSON.stringify(value))
  return { bytes, sha1: createHash('sha1').update(bytes).digest('hex'), tag, asked, from: 'network' as const }
}
const activate = (activator: Activator, value: unknown, tag?: string) =>
  activator.activate(received(value, tag), () => 3)

beforeEach(() => {
  highest = undefined
  vi.resetAllMocks()
  heard = []
  closing = new AbortController()
})

describe('a document that goes live', () => {
  test('is swapped in before anybody is told', async () => {
    swap.mockImplementation(() => {
      expect(heard).toEqual([])
    })
    const activator = create()
    const update = await activate(activator, document([P('a'), P('b', '(')], { version: 4 }), 'one')
    expect(update).toEqual({
      version: 4,
      from: 'network',
      plugins: 1,
      compiled: 1,
      reused: 0,
      removed: 0,
      failed: 1,
      duration_ms: 3,
    })
    expect(swap).toHaveBeenCalledTimes(1)
    expect(heard).toEqual(['bg_compile_success', 'bg_compile_error', 'bg_updated_plugins'])
    expect(activator.activated()).toMatchObject({ version: 4, tag: 'one', from: 'network' })
    expect(Object.isFrozen(activator.activated())).toBe(true)
  })

  test('without a version goes by its bytes', async () => {
    const activator = create()
    const { sha1 } = received(document([]))
    expect(await activate(activator, document([]))).toMatchObject({ version: sha1.slice(0, 12) })
    expect(activator.attempted()).toMatchObject({ version: sha1.slice(0, 12), sha1, error: null })
  })

  test('can be known by another tag from now on', async () => {
    const activator = create()
    activator.confirm(askNow(), 'nothing to give it to')
    await activate(activator, document([]), 'one')
    activator.confirm(askNow(), undefined)
    expect(activator.activated()).toMatchObject({ tag: undefined })
  })
})

describe('a document that is refused', () => {
  test.each([
    ['no UTF-8', '{"domains":[],"x":"\xe9"}', 'the document is not UTF-8'],
    ['no JSON', '{', /^the document is not JSON/],
    ['no document', '{}', /^domains: expected an array/],
  ])('since it is %s changes nothing', async (_, text, message) => {
    const activator = create()
    await activate(activator, document([P('a')], { version: 1 }), 'one')
    const before = activator.activated()
    heard = []
    await expect(activate(activator, text, 'two')).rejects.toThrow(message)
    expect(activator.activated()).toBe(before)
    expect(swap).toHaveBeenCalledTimes(1)
    expect(heard).toEqual([])
  })

  test('since it drops too many plugins is held, unless it says that it means to', async () => {
    const activator = create(0.5)
    await activate(activator, document([P('a'), P('b'), P('c')], { version: 1 }))
    await expect(activate(activator, document([P('a', '1')], { version: 2 }))).rejects.toMatchObject({
      code: 'ERR_DYNACODE_HELD',
      message: expect.stringMatching(
        /drops 2 of 3 plugins at once, expected at most 0\.5 of them \(max_removed_ratio\)/,
      ),
    })
    expect(end.mock.calls.map(([{ spec }]) => spec.code)).toEqual(['1'])
    expect(activator.activated()?.version).toBe(1)
    expect(activator.attempted()).toMatchObject({ version: 2, from: 'network', error: { code: 'ERR_DYNACODE_HELD' } })
    activator.confirm(askNow(), undefined)
    expect(activator.attempted()).toMatchObject({ version: 1, error: null })
    expect(await activate(activator, document([P('a'), P('b')], { version: 3 }))).toMatchObject({ removed: 1 })
    expect(await activate(activator, document([], { allow_removal: true }))).toMatchObject({ removed: 2 })
  })

  test('since close() was called changes nothing', async () => {
    const activator = create()
    closing.abort()
    await expect(activate(activator, document([]))).rejects.toMatchObject({ code: 'ERR_DYNACODE_CLOSED' })
    expect(activator.activated()).toBeNull()
    expect(swap).not.toHaveBeenCalled()
  })
})

describe('a signed document', () => {
  const verifier = { verify: async (text_bytes: Uint8Array) => ({ text_bytes }) } as unknown as Verifier
  const expires = '2999-01-01T00:00:00Z'
  const versioned = (version: number) => received(document([P('a')], { version, expires }))

  test('is put on the disk before it goes live, once all is well with it', async () => {
    const activator = create(1, verifier)
    const kept: unknown[] = []
    const keep = async (version: unknown) => void kept.push([version, activator.activated()?.version])
    await activator.activate(versioned(1), () => 0, keep)
    await activator.activate(versioned(2), () => 0, keep)
    expect(kept).toEqual([
      [1, undefined],
      [2, 1],
    ])
    await expect(activator.activate(versioned(1), () => 0, keep)).rejects.toMatchObject({
      code: 'ERR_DYNACODE_VERSION',
    })
    expect(kept).toHaveLength(2)
  })

  test.each([
    ['close() is called', () => closing.abort(), 'ERR_DYNACODE_CLOSED'],
    ['another process takes a newer one', () => noteHighest(9), 'ERR_DYNACODE_VERSION'],
  ])('does not go live where %s meanwhile, and what was built ends', async (_what, happen, code) => {
    const activator = create(1, verifier)
    await expect(
      activator.activate(
        versioned(1),
        () => 0,
        async () => happen(),
      ),
    ).rejects.toMatchObject({ code })
    expect(activator.activated()).toBeNull()
    expect(swap).not.toHaveBeenCalled()
    expect(end).toHaveBeenCalledTimes(1)
  })
})
