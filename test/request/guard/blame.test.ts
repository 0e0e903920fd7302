import { EventEmitter } from 'node:events'
import { setImmediate } from 'node:timers'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createCompiler } from '../../../lib/background/compiling/compiler.ts'
import type { LivePlugin } from '../../../lib/program.ts'
import { createGuard } from '../../../lib/request/guard/containment.ts'
import { createKit } from '../../../lib/request/guard/kit.ts'
import { createOwnTime } from '../../../lib/request/guard/own-time.ts'
import { NO_WATCHDOG } from '../../../lib/request/guard/watchdog.ts'
import { createRun, type Run } from '../../../lib/request/run/record.ts'

const BUDGET_MS = 50
/** What the way through the queue of microtasks may cost a run that awaits a little. */
const WAY_MS = 1
const TURNS = 6

/** Somebody's code: a plugin's, or, without a guard, the app's. */
interface Actor {
  readonly guarded: boolean
  readonly steps: readonly string[]
}

/** What an actor has taken in truth, turn by turn. */
interface Account {
  readonly taken: number[]
  /** Undefined for the app. */
  readonly run: Run | undefined
}

/**
 * Runs the actors beside each other in a world of its own: time passes there only where somebody burns it, and by a
 * microsecond whenever the guard asks for it.
 */
async function simulate(actors: readonly Actor[], ask_ms = 0.001): Promise<readonly Account[]> {
  let at = 0
  let turn = 0
  const now = () => {
    at += ask_ms
    return at
  }
  const guard = createGuard(
    () => undefined,
    NO_WATCHDOG,
    createOwnTime(
      now,
      () => turn,
      () => at,
    ),
  )
  const compiler = createCompiler({ compile_cache_max: 100, globals: {} })
  const bus = new EventEmitter()
  const settle: (() => void)[] = []
  const gates = Array.from({ length: TURNS }, () => new Promise<void>((resolve) => settle.push(resolve)))

  const accounts = actors.map(({ guarded, steps }, index): Account => {
    const taken = Array.from({ length: TURNS }, () => 0)
    const burn = (ms: number) => {
      at += ms
      taken[turn] = (taken[turn] as number) + ms
    }
    const code = `const { bus, burn, gates } = params;\n${steps.join(';\n')}`
    const { compiled } = compiler.compile({ name: `${index}`, code, guard: guarded ? 'on' : 'off' })
    const enter = compiled.bind({ store: {}, log: () => undefined, guard })
    const plugin = { spec: { budget_ms: BUDGET_MS }, info: { name: 'code' }, life: {} } as unknown as LivePlugin
    const run = createRun({ ctx: {}, chain: {} } as never, plugin)
    if (compiled.uses.kit) run.kit = createKit(run, guard.contain)
    const none = undefined
    const call = () => enter(run, {} as never, { bus, burn, gates }, none, none, none, none, none, none)
    const begin = async () => (guarded ? guard.enter(run, call) : call())
    begin().catch(() => undefined)
    return { taken, run: guarded ? run : undefined }
  })
  while (turn < TURNS) {
    settle[turn]?.()
    await new Promise((done) => setImmediate(done))
    bus.emit(`${turn}`)
    await new Promise((done) => setImmediate(done))
    turn += 1
  }
  return accounts
}

/** What an actor may do: plugins in pieces of at most a millisecond, the app in larger ones. */
function stepsOf(most_ms: number) {
  const ms = fc.integer({ min: 1, max: 20 }).map((part) => `${(part * most_ms) / 20}`)
  const when = fc.integer({ min: 0, max: TURNS - 1 })
  return [
    ms.map((x) => `burn(${x})`),
    fc.tuple(fc.integer({ min: 1, max: 60 }), ms).map(([n, x]) => `for (let i = 0; i < ${n}; i++) burn(${x} / 4)`),
    fc.constant('await null'),
    when.map((n) => `await gates[${n}]`),
    fc.tuple(when, ms).map(([n, x]) => `gates[${n}].then(() => burn(${x}))`),
    fc.tuple(when, ms).map(([n, x]) => `gates[${n}].then(async () => { burn(${x}); await null; burn(${x}) })`),
    fc
      .tuple(when, ms)
      .map(([n, x]) => `(async () => { await gates[${n}]; for (let i = 0; i < 20; i++) burn(${x}) })()`),
    fc.tuple(when, ms).map(([n, x]) => `await (async () => { burn(${x}); await gates[${n}]; burn(${x}) })()`),
    fc.tuple(when, ms).map(([n, x]) => `bus.on("${n}", () => { for (let i = 0; i < 20; i++) burn(${x}) })`),
    fc.tuple(when, ms).map(([n, x]) => `bus.on("${n}", async () => { burn(${x}); await gates[${n}]; burn(${x}) })`),
    // What the app does when a plugin calls it, is the plugin's.
    when.map((n) => `bus.emit("for plugins ${n}")`),
    ms.map((x) => `queueMicrotask(() => { for (let i = 0; i < 20; i++) burn(${x}) })`),
    ms.map((x) => `setImmediate(() => { for (let i = 0; i < 20; i++) burn(${x}) })`),
    ms.map((x) => `for await (const _ of (async function* () { yield 1; burn(${x}); yield 2 })()) burn(${x})`),
  ]
}

const RUNAWAYS = [
  'for (;;) burn(0.5)',
  'for (;;) { burn(0.3); await null }',
  'bus.on("3", () => { for (;;) burn(0.5) })',
]
const called = fc
  .integer({ min: 0, max: TURNS - 1 })
  .map((n) => `bus.on("for plugins ${n}", () => { for (let i = 0; i < 20; i++) burn(0.4) })`)
const plugin = fc.record({
  guarded: fc.constant(true),
  steps: fc.array(fc.oneof(...stepsOf(1), called, { arbitrary: fc.constantFrom(...RUNAWAYS), weight: 1 }), {
    maxLength: 8,
  }),
})
const app = fc.record({ guarded: fc.constant(false), steps: fc.array(fc.oneof(...stepsOf(40)), { maxLength: 5 }) })

test('G60 runs beside each other: each is charged its own time, and stopped when that is too much', async () => {
  let stopped = 0
  await fc.assert(
    fc.asyncProperty(fc.array(fc.oneof(plugin, plugin, app), { minLength: 2, maxLength: 6 }), async (actors) => {
      for (const { taken, run } of await simulate(actors)) {
        if (run === undefined) continue
        const most = Math.max(...taken)
        expect(most).toBeLessThanOrEqual(BUDGET_MS + 50)
        expect(run.own_ms).toBeLessThanOrEqual(taken.reduce((sum, ms) => sum + ms) + WAY_MS)
        if (run.dead === null) continue
        stopped += 1
        expect(most).toBeGreaterThan(BUDGET_MS - WAY_MS)
      }
    }),
    { numRuns: 400, seed: 60 },
  )
  expect(stopped).toBeGreaterThan(20)
})

/** Where a run's code goes on twice in one turn, and the app is in between: nothing of the run's tells that. */
const AROUND_THE_APP: Record<string, string> = {
  'a callback of a promise': 'gates[1].then(() => { for (let i = 0; i < 20; i++) burn(0.1) })',
  'a callback that awaits': 'gates[1].then(async () => { for (let i = 0; i < 20; i++) burn(0.1); await null })',
  'an async function': '(async () => { await gates[1]; for (let i = 0; i < 20; i++) burn(0.1) })()',
  'a listener': 'bus.on("within", () => { for (let i = 0; i < 20; i++) burn(0.1) })',
  'a listener that awaits': 'bus.on("within", async () => { for (let i = 0; i < 20; i++) burn(0.1); await null })',
  'a generator':
    'const g = (async function* () { for (;;) { yield 1; for (let i = 0; i < 20; i++) burn(0.1) } })(); await g.next(); gates[1].then(() => g.next())',
}

test.each(Object.entries(AROUND_THE_APP))(
  'G60 a run is not charged for what the app does before %s',
  async (_, second) => {
    const [plugin, app] = await simulate([
      {
        guarded: true,
        // By now it has turned out to do much, and is timed.
        steps: [
          'for (let i = 0; i < 100; i++) burn(0.1)',
          '(async () => { await gates[1]; burn(0.1) })()',
          `await gates[0]`,
          'await null',
          second,
        ],
      },
      {
        guarded: false,
        steps: ['await gates[0]', 'gates[1].then(() => { burn(300); bus.emit("within"); burn(300) })'],
      },
    ])
    expect(app?.taken[1]).toBe(600)
    expect(plugin?.run?.dead).toBeNull()
    expect(plugin?.run?.own_ms).toBeLessThan(15)
  },
)

test('G60 a loop that calls nothing is charged all that it takes', async () => {
  const [plugin] = await simulate([{ guarded: true, steps: ['for (;;);'] }], 1)
  expect(plugin?.run?.dead).not.toBeNull()
  expect(plugin?.run?.last).toBeLessThan(BUDGET_MS + 20)
})
