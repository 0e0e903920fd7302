import type { Context } from 'koa'
import { beforeEach, describe, expect, test, vi } from 'vitest'
import { type Build, type Builder, createBuilder } from '../../lib/background/builder.ts'
import { createCompiler } from '../../lib/background/compiling/compiler.ts'
import { readDocument } from '../../lib/background/reading/validator.ts'
import { DynacodeError } from '../../lib/errors.ts'
import type { PluginInfo } from '../../lib/events/table.ts'
import type { LivePlugin, PluginFunction, PluginLife, Program, ProgramDomain } from '../../lib/program.ts'
import { beginUnit } from '../../lib/request/rollout/unit.ts'
import { runSteps } from '../../lib/time/steps.ts'

const BROKEN = '('
const bind = vi.fn((): PluginFunction => () => undefined)
const begin = vi.fn((_info: PluginInfo, _sha1: string) => ({}) as PluginLife)
const end = vi.fn((_plugin: LivePlugin) => undefined)
const quarantined = vi.fn((_sha1: string): DynacodeError | undefined => undefined)

let build: (document: unknown) => Build
let live: Program | null

beforeEach(() => {
  vi.clearAllMocks()
  quarantined.mockReturnValue(undefined)
  live = null
  const builder: Builder = createBuilder(createCompiler({ compile_cache_max: 100, globals: {} }), {
    bind,
    begin,
    end,
    quarantined,
    guardRollout: () => null,
    beginUnit,
  })
  build = (document) => {
    const built = runSteps(builder.build(readDocument(JSON.stringify(document)), 'v', live))
    live = built.program
    return built
  }
})

const plugin = (name: string, fields: object = {}) => ({ name, phase: 'access', code: `"${name}"`, ...fields })
const domain = (name: string, ...plugins: unknown[]) => ({ name, plugins })
const document = (...plugins: unknown[]) => ({ domains: [domain('a.com', ...plugins)] })

/** What runs, as `domain name phase code`; a guard's code is empty. */
function running({ program }: Build): string[] {
  return program.plugins.map(
    ({ spec, guard }) => `${spec.domain} ${spec.name} ${spec.phase} ${guard ? 'GUARD' : spec.code}`,
  )
}
const counts = ({ compiled, reused, removed, failures, faults }: Build) => ({
  compiled: compiled.length,
  reused,
  removed,
  failed: failures.length + faults.length,
})
const keptOf = ({ failures }: Build) => failures.map(({ info, kept_last_good }) => [info.name, kept_last_good])

describe('domains that are kept', () => {
  test('go on as they are, in a few steps each', () => {
    const all = readDocument(
      JSON.stringify({ domains: Array.from({ length: 1000 }, (_, index) => domain(`${index}.com`, plugin('p'))) }),
    )
    const builder = createBuilder(createCompiler({ compile_cache_max: 10, globals: {} }), {
      bind,
      begin,
      end,
      quarantined,
      guardRollout: () => null,
      beginUnit,
    })
    const { program } = runSteps(builder.build(all, 1, null))
    const keep = (from: number, to: number) =>
      program.domains.slice(from, to).map((domain) => ({ domain, count: 1, refers: [] }))
    const changed = readDocument(JSON.stringify({ domains: [domain('500.com', plugin('q'))] }))
    const [one] = changed.domains as [(typeof changed.domains)[number]]
    const work = builder.build({ ...all, domains: [...keep(0, 500), one, ...keep(501, 1000)] }, 2, program)
    let steps = 1
    let step = work.next()
    for (; step.done !== true; step = work.next()) steps += 1
    const built = step.value
    // Each is found to go on; none is compared, indexed or counted again.
    expect(steps).toBeLessThan(5 * 1000)
    expect(counts(built)).toEqual({ compiled: 1, reused: 999, removed: 1, failed: 0 })
    expect(built.begun.map(({ spec }) => spec.name)).toEqual(['q'])
    expect(built.replaced).toEqual([program.plugins[500]])
    expect(built.program.domains).toEqual(program.domains.with(500, built.program.domains[500] as ProgramDomain))
    expect(built.program.plugins).toEqual(program.plugins.with(500, built.begun[0] as LivePlugin))
  })
})

describe('what finds the plugins of a host', () => {
  const named = (names: string[], code: string, skip: string[] = []) => ({
    general: { skip_domains: skip },
    domains: names.map((name) => domain(name, plugin('p', { code }))),
  })
  const SKIP = ['x.com', 'y.com']
  const matcherOf = (document: object) => build(document).program.matcher

  test('goes on where the names are the same', () => {
    const first = matcherOf(named(['a.com', '*.b.com', '^c'], '1', ['d.com']))
    expect(matcherOf(named(['a.com', '*.b.com', '^c'], '2', ['d.com']))).toBe(first)
    expect(matcherOf({ ...named(['a.com', '(', '^c'], '2', ['d.com']) })).not.toBe(first)
  })

  test.each([
    ['one is another', named(['a.com', 'c.com'], '1', SKIP)],
    ['there is one more', named(['a.com', 'b.com', 'c.com'], '1', SKIP)],
    ['there is one less', named(['a.com'], '1', SKIP)],
    ['they are in another order', named(['b.com', 'a.com'], '1', SKIP)],
    ['another one is skipped', named(['a.com', 'b.com'], '1', ['x.com', 'z.com'])],
    ['a kind of them is skipped', named(['a.com', 'b.com'], '1', ['x.com', '*.y.com'])],
    ['none is skipped', named(['a.com', 'b.com'], '1')],
  ])('is made anew where %s', (_, changed) => {
    const first = matcherOf(named(['a.com', 'b.com'], '1', SKIP))
    expect(matcherOf(changed)).not.toBe(first)
  })
})

describe('a plugin that did not change', () => {
  test('is taken over as it is', () => {
    const first = build(document(plugin('p', { params: { a: [1] } }), plugin('q')))
    const second = build(document(plugin('q'), plugin('p', { params: { a: [1] } }), plugin('r')))
    expect(counts(first)).toEqual({ compiled: 2, reused: 0, removed: 0, failed: 0 })
    expect(counts(second)).toEqual({ compiled: 1, reused: 2, removed: 0, failed: 0 })
    expect(second.program.plugins.slice(0, 2)).toEqual([first.program.plugins[1], first.program.plugins[0]])
    expect(second.program.plugins[1]).toBe(first.program.plugins[0])
    expect(bind).toHaveBeenCalledTimes(3)
  })

  test.each([
    [{ params: { a: 2 } }],
    [{ priority: 1 }],
    [{ on_failure: 'closed' }],
    [{ id: 5 }],
    [{ phase: 'rewrite' }],
    [{ guard: 'strict' }],
    [{ budget_ms: 7 }],
    [{ timeout_ms: 70 }],
  ])('in its code, but in %j, is a new plugin that costs no compilation', (change) => {
    const [before] = build(document(plugin('p'))).program.plugins
    const second = build(document(plugin('p', change)))
    const [after] = second.program.plugins
    expect(after).not.toBe(before)
    expect(after?.spec).toMatchObject(change)
    expect(counts(second)).toMatchObject({ compiled: 0, reused: 1 })
  })

  test('is not compiled again when it comes back', () => {
    build(document(plugin('p')))
    build(document())
    expect(counts(build(document(plugin('p'))))).toMatchObject({ compiled: 0, reused: 1 })
  })
})

test('a plugin that is removed goes', () => {
  build(document(plugin('p'), plugin('q')))
  const second = build(document(plugin('q')))
  expect(running(second)).toEqual(['a.com q access "q"'])
  expect(counts(second)).toMatchObject({ removed: 1, reused: 1 })
  expect(counts(build({ domains: [] }))).toMatchObject({ removed: 1 })
})

describe('a plugin at fault keeps its last good version', () => {
  const good = plugin('p', { id: 1 })

  test.each([
    ['its code does not compile', { ...good, code: BROKEN }],
    ['its code is no string', { ...good, code: 5 }],
    ['its phase is none', { ...good, phase: 'plugins' }],
    ['its phase is missing', { ...good, phase: undefined }],
    ['another phase comes with code that does not compile', { ...good, phase: 'log', code: BROKEN }],
    ['its name is no string, but it has an id', { ...good, name: 5 }],
    ['it has become a reference to an id that is not there', 1],
    ['it is a reference with its name to an id that is not there', { id: 9, name: 'p' }],
    ['its params are no object', { ...good, params: 'x' }],
  ])('when %s', (_, faulty) => {
    const [before] = build(document(good, plugin('q'))).program.plugins
    const second = build(document(faulty, plugin('q', { code: '"new"' })))
    expect(running(second)).toEqual(['a.com p access "p"', 'a.com q access "new"'])
    expect(second.program.plugins[0]).toBe(before)
    expect(keptOf(second)).toEqual([['p', true]])
    expect(second.kept.get(before as LivePlugin)).toBe(second.failures[0]?.error)
    expect(counts(second)).toEqual({ compiled: 1, reused: 0, removed: 0, failed: 1 })
  })

  test('through any number of refreshes, until it is repaired', () => {
    build(document(good))
    build(document({ ...good, code: BROKEN }))
    expect(running(build(document({ ...good, code: `${BROKEN}(` })))).toEqual(['a.com p access "p"'])
    expect(running(build(document({ ...good, code: '"repaired"' })))).toEqual(['a.com p access "repaired"'])
  })

  test('until it is removed', () => {
    build(document(good))
    build(document({ ...good, code: BROKEN }))
    expect(running(build(document()))).toEqual([])
  })

  test('of its own domain, not of another', () => {
    build({ domains: [domain('a.com', good)] })
    const second = build({ domains: [domain('b.com', { ...good, code: BROKEN })] })
    expect(running(second)).toEqual([])
    expect(keptOf(second)).toEqual([['p', false]])
  })

  test('in each domain that refers to it', () => {
    const shared = { ...good, id: 7 }
    build({ domains: [domain('a.com', 7), domain('b.com', 7)], plugins: [shared] })
    const second = build({ domains: [domain('a.com', 7), domain('b.com', 7)], plugins: [{ ...shared, code: BROKEN }] })
    expect(running(second)).toEqual(['a.com p access "p"', 'b.com p access "p"'])
    expect(keptOf(second)).toEqual([
      ['p', true],
      ['p', true],
    ])
  })

  test('when the shared plugin is gone from the document', () => {
    build({ domains: [domain('a.com', 7)], plugins: [{ ...good, id: 7 }] })
    expect(running(build({ domains: [domain('a.com', 7)], plugins: [] }))).toEqual(['a.com p access "p"'])
  })

  test('of its own phase, where it has several', () => {
    build(document(plugin('p'), plugin('p', { phase: 'log', code: '"log"' })))
    const second = build(document(plugin('p', { code: '"new"' }), plugin('p', { phase: 'log', code: BROKEN })))
    expect(running(second)).toEqual(['a.com p access "new"', 'a.com p log "log"'])
  })

  test('of no phase that another entry carries on', () => {
    build(document(plugin('p'), plugin('p', { phase: 'log', code: '"log"' })))
    const second = build(document(plugin('p', { code: '"new"' }), plugin('p', { phase: 'lag', code: '"log"' })))
    expect(running(second)).toEqual(['a.com p access "new"', 'a.com p log "log"'])
  })

  test('when this process may not run the new one', () => {
    build(document(good))
    const error = new DynacodeError('ERR_DYNACODE_QUARANTINED', 'this code hung the process')
    quarantined.mockReturnValue(error)
    const second = build(document({ ...good, code: 'for (;;);' }))
    expect(running(second)).toEqual(['a.com p access "p"'])
    expect(second.failures[0]?.error).toBe(error)
  })
})

describe('an earlier version is kept once', () => {
  test.each([
    ['two faulty entries of one name', [plugin('p', { code: 5 }), plugin('p', { code: 6 })]],
    ['two entries of one name that do not compile', [plugin('p', { code: BROKEN }), plugin('p', { code: BROKEN })]],
    ['an entry in two impossible phases', [plugin('p', { phase: 'x' }), plugin('p', { phase: 'y' })]],
    ['an entry by name and one by id', [plugin('p', { phase: 'x' }), { id: 1 }]],
  ])('for %s', (_, entries) => {
    build(document(plugin('p', { id: 1 })))
    expect(running(build(document(...entries)))).toEqual(['a.com p access "p"'])
  })

  test('for a duplicate of a good entry: not at all', () => {
    build(document(plugin('p')))
    const second = build(document(plugin('p', { code: '"new"' }), plugin('p', { code: '"newer"' })))
    expect(running(second)).toEqual(['a.com p access "new"'])
    expect(keptOf(second)).toEqual([['p', false]])
  })

  test('for a refused domain, unless another entry of its name carries a plugin on', () => {
    build({ domains: [domain('a.com', plugin('p'), plugin('q'))] })
    const second = build({ domains: [{ name: 'a.com' }, domain('a.com', plugin('p', { code: '"new"' }))] })
    expect(running(second)).toEqual(['a.com q access "q"', 'a.com p access "new"'])
  })

  test('for two refused domains of one name', () => {
    build({ domains: [domain('a.com', plugin('p')), domain('a.com', plugin('q'))] })
    const second = build({ domains: [{ name: 'a.com' }, { name: 'a.com', plugins: null }] })
    expect(running(second)).toEqual(['a.com p access "p"', 'a.com q access "q"'])
  })
})

describe('a refused domain', () => {
  test('keeps what it had, and is counted once', () => {
    const [before] = build({ domains: [domain('a.com', plugin('p')), domain('b.com', plugin('q'))] }).program.plugins
    const second = build({
      domains: [{ name: 'a.com', plugins: 'none' }, domain('b.com', plugin('q', { code: '"new"' }))],
    })
    expect(running(second)).toEqual(['a.com p access "p"', 'b.com q access "new"'])
    expect(second.faults.map(({ path }) => path)).toEqual(['domains[0].plugins'])
    expect(second.kept.get(before as LivePlugin)).toBe(second.faults[0])
    expect(counts(second)).toMatchObject({ failed: 1, removed: 0 })
  })

  test('that is new has nothing to keep', () => {
    expect(running(build({ domains: [{ name: '(', plugins: [] }] }))).toEqual([])
  })
})

describe('a plugin at fault that fails closed', () => {
  const closed = plugin('p', { on_failure: 'closed', phase: 'header_filter' })

  test.each([
    ['never compiled', { ...closed, code: BROKEN }],
    ['has no phase', { ...closed, phase: 'x' }],
    ['misspells its policy', { ...closed, on_failure: 'close' }],
  ])('and %s is guarded: in the first place of the access phase', (_, faulty) => {
    const built = build(document(plugin('q', { priority: 1e9 }), faulty))
    const [, guard] = built.program.plugins
    expect(running(built)[1]).toBe('a.com p access GUARD')
    expect(guard?.spec).toMatchObject({ on_failure: 'closed', priority: Number.POSITIVE_INFINITY })
    const exit = vi.fn()
    guard?.run({}, {} as never, {}, exit as never, undefined, undefined, undefined, undefined, undefined)
    expect(exit).toHaveBeenCalledWith(503)
    expect(keptOf(built)).toEqual([['p', false]])
  })

  test('keeps its last good version rather than being guarded', () => {
    build(document(closed))
    expect(running(build(document({ ...closed, code: BROKEN })))).toEqual(['a.com p header_filter "p"'])
  })

  test('is guarded until it is repaired', () => {
    build(document({ ...closed, code: BROKEN }))
    const second = build(document({ ...closed, code: `${BROKEN}(` }))
    expect(running(second)).toEqual(['a.com p access GUARD'])
    expect(keptOf(second)).toEqual([['p', false]])
    const third = build(document(closed))
    expect(running(third)).toEqual(['a.com p header_filter "p"'])
    expect(counts(third)).toEqual({ compiled: 1, reused: 0, removed: 0, failed: 0 })
  })

  test('is guarded until it fails open, or is removed', () => {
    build(document({ ...closed, code: BROKEN }))
    expect(running(build(document({ ...closed, code: BROKEN, on_failure: 'open' })))).toEqual([])
    build(document({ ...closed, code: BROKEN }))
    expect(running(build(document()))).toEqual([])
  })
})

describe('a plugin that is switched off', () => {
  const off = { enabled: false, on_failure: 'closed' }

  test.each([
    ['does not compile', plugin('p', { ...off, code: BROKEN })],
    ['is at fault', plugin('p', { ...off, when: { path: '/' } })],
  ])('and %s has no version that runs in its place', (_, broken) => {
    build(document(plugin('p')))
    const built = build(document(broken))
    expect(running(built)).toEqual([])
    expect(keptOf(built)).toEqual([['p', false]])
  })

  test('by a reference to a shared one at fault goes, the other references keep what they had', () => {
    const shared = plugin('p', { id: 1 })
    const references = [{ id: 1, name: 'q' }, 1]
    build({ ...document(...references), plugins: [shared] })
    const built = build({ ...document({ id: 1, name: 'q', enabled: false }, 1), plugins: [{ ...shared, when: 1 }] })
    expect(running(built)).toEqual(['a.com p access "p"'])
  })
})

describe('a guard in place of a plugin that ends', () => {
  const ctx = {} as Context
  const broken = (fields: object = {}) =>
    plugin('p', { on_failure: 'closed', expires_at: '2030-01-01T00:00:00Z', ...fields })

  test.each([
    ['whose code is broken', broken({ code: BROKEN })],
    ['whose conditions are', broken({ when: 1 })],
  ])('ends with it: one %s', (_, given) => {
    vi.useFakeTimers({ now: Date.UTC(2029, 11, 31) })
    const [guard] = build(document(given)).program.plugins
    expect(guard).toMatchObject({ guard: true, phase: 'access' })
    expect(guard?.applies?.(ctx)).toBe(true)
    expect(begin).toHaveBeenCalledWith(guard?.info, '', null, null)
    expect(guard?.spec.scope.expires_at).toBe(Date.UTC(2030, 0, 1))
    vi.setSystemTime(Date.UTC(2030, 0, 1))
    expect(guard?.applies?.(ctx)).toBe(false)
    vi.useRealTimers()
  })

  test('begins with it, too: what is to come refuses nobody yet', () => {
    vi.useFakeTimers({ now: Date.UTC(2029, 11, 31) })
    for (const fault of [{ code: BROKEN }, { when: 1 }]) {
      const given = plugin('p', { on_failure: 'closed', starts_at: '2030-01-01T00:00:00Z', ...fault })
      const [guard] = build(document(given)).program.plugins
      vi.setSystemTime(Date.UTC(2029, 11, 31))
      expect([guard?.guard, guard?.applies?.(ctx)]).toEqual([true, false])
      vi.setSystemTime(Date.UTC(2030, 0, 1))
      expect(guard?.applies?.(ctx)).toBe(true)
    }
    // Nobody knows when: at once.
    const unclear = plugin('p', { on_failure: 'closed', starts_at: 'tomorrow' })
    expect(build(document(unclear)).program.plugins[0]).toMatchObject({ guard: true, applies: null })
    vi.useRealTimers()
  })

  test('is none where the end is past', () => {
    vi.useFakeTimers({ now: Date.UTC(2030, 0, 1) })
    expect(running(build(document(broken({ code: BROKEN }), plugin('q'))))).toEqual(['a.com q access "q"'])
    vi.useRealTimers()
  })
})

describe('a plugin with very many variants', () => {
  const COUNT = 5000
  const many = (code: (index: number) => string) =>
    document(
      plugin('p', {
        code: undefined,
        variants: Array.from({ length: COUNT }, (_, index) => ({
          name: `v${index}`,
          code: code(index),
          percent: 100 / COUNT / 2,
        })),
      }),
    )

  test.each([
    ['all of them are new', undefined, () => ''],
    ['all of them change', () => '', () => ';'],
    ['all of them are at fault', () => '', () => '('],
    ['one of them is', () => '', (index: number) => (index === 7 ? '(' : ';')],
  ])('is built in steps, none of which goes through all of them again: %s', (_, before, after) => {
    const builder = createBuilder(createCompiler({ compile_cache_max: 10, globals: {} }), {
      bind,
      begin,
      end,
      quarantined,
      guardRollout: () => null,
      beginUnit,
    })
    const read = (code: (index: number) => string) => readDocument(JSON.stringify(many(code)))
    const first = before && runSteps(builder.build(read(before), 1, null)).program
    const work = builder.build(read(after), 2, first ?? null)
    let steps = 1
    while (work.next().done !== true) steps += 1
    expect(steps).toBeGreaterThan(COUNT)
  })
})

describe('variants', () => {
  const variants = (...codes: string[]) =>
    codes.map((code, index) => ({ name: `v${index}`, code: `"${code}"`, percent: 50 }))
  const split = (fields: object = {}) => plugin('p', { code: undefined, variants: variants('a', 'b'), ...fields })
  const BOTH = ['a.com p/v0 access "a"', 'a.com p/v1 access "b"']

  test.each([
    ['conditions', split({ when: { path: '/' } })],
    ['percentages', split({ variants: [{ name: 'v0', code: '', percent: 101 }] })],
    ['code, where there is but one now,', plugin('p', { code: BROKEN })],
  ])('all stay when the plugin’s %s are broken', (_, broken) => {
    build(document(split()))
    const built = build(document(broken))
    expect(running(built)).toEqual(BOTH)
    expect(keptOf(built)).toEqual([['p', true]])
    expect([...built.kept.keys()]).toEqual(built.program.plugins)
  })

  const oneBroken = (percents: readonly number[]) =>
    split({
      variants: [
        { name: 'v0', code: '"c"', percent: percents[0] },
        { name: 'v1', code: BROKEN, percent: percents[1] },
      ],
    })

  test('of which one is broken all stay, with the shares that they had', () => {
    build(document(split()))
    const built = build(document(oneBroken([90, 10])))
    expect(running(built)).toEqual(BOTH)
    expect(built.program.plugins.map(({ spec }) => [spec.scope.share?.from, spec.scope.share?.to])).toEqual([
      [0, 50],
      [50, 100],
    ])
    expect(keptOf(built)).toEqual([['p/v1', true]])
    expect([...built.kept.keys()]).toEqual(built.program.plugins)
    expect(built.removed).toBe(0)
    const mended = build(document(split({ variants: variants('c', 'd') })))
    expect(running(mended)).toEqual(['a.com p/v0 access "c"', 'a.com p/v1 access "d"'])
  })

  test('of which one is broken leave the plugin that was there before', () => {
    build(document(plugin('p')))
    expect(running(build(document(oneBroken([50, 50]))))).toEqual(['a.com p access "p"'])
  })

  test('of which one is broken run without it where there is nothing before them, or all are switched off', () => {
    const built = build(document(oneBroken([50, 50])))
    expect([running(built), keptOf(built)]).toEqual([['a.com p/v0 access "c"'], [['p/v1', false]]])
    build(document(split()))
    const off = build(document({ ...oneBroken([50, 50]), enabled: false }))
    expect([running(off), keptOf(off)]).toEqual([['a.com p/v0 access "c"'], [['p/v1', false]]])
  })

  test('of which one is broken stay in the phase that they had', () => {
    build(document(split()))
    expect(running(build(document({ ...oneBroken([90, 10]), phase: 'log' })))).toEqual(BOTH)
  })

  test('of which one is broken, under other names, stay under those that they had', () => {
    build(document(split()))
    const renamed = { ...oneBroken([90, 10]), variants: [{ name: 'v9', code: BROKEN, percent: 10 }, variants('c')[0]] }
    expect(running(build(document(renamed)))).toEqual(BOTH)
  })

  test('of which one is broken leave other plugins of their name to themselves', () => {
    build(document(split(), plugin('p', { phase: 'log' })))
    const built = build(document(oneBroken([50, 50]), plugin('p', { phase: 'log', code: '"new"' })))
    expect(running(built)).toEqual([...BOTH, 'a.com p log "new"'])
  })

  test('take the place of the plugin, and the plugin theirs', () => {
    build(document(plugin('p')))
    const split_up = build(document(split()))
    expect([running(split_up), split_up.removed]).toEqual([BOTH, 1])
    const whole = build(document(plugin('p')))
    expect([running(whole), whole.removed]).toEqual([['a.com p access "p"'], 2])
  })

  test('that are broken leave the plugin that was there before', () => {
    build(document(plugin('p')))
    expect(running(build(document(split({ when: 1 }))))).toEqual(['a.com p access "p"'])
  })
})

describe('a plugin’s info', () => {
  test('is the same object for the life of a version', () => {
    const [first] = build(document(plugin('p'))).program.plugins
    const second = build(document(plugin('p', { code: BROKEN })))
    expect(second.failures[0]?.info).toBe(first?.info)
    expect(first?.info).toEqual({ name: 'p', domain: 'a.com', phase: 'access' })
    expect(Object.isFrozen(first?.info)).toBe(true)
  })

  test('names a plugin by its id where nothing else is known, without a phase', () => {
    expect(build(document(5)).failures[0]?.info).toEqual({ name: '5', domain: 'a.com', phase: null })
  })
})
