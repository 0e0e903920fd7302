import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import ts from 'typescript'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import * as lib from '../../lib/index.ts'
import { exchange, startApp, type TestApp } from '../fixtures/app.ts'
import { payloadsOf, record } from '../fixtures/instance.ts'
import { readDocsPage } from './pages.ts'

const page = readDocsPage('guide-rollout')
const stepOf = (step: string) => {
  const block = page.blocks.find(({ marks }) => marks.get('step') === step)
  if (block === undefined) throw new Error(`docs/guide-rollout.md: expected the step ${step}`)
  return JSON.parse(block.text) as { domains: { plugins: Record<string, unknown>[] }[] }
}
const STEPS = ['shadow', '1', '10', '100', 'back'] as const
const ALL = [...STEPS, 'schedule', 'bad'] as const
const USERS = Array.from({ length: 2000 }, (_, index) => `user-${index}`)
const SOME_USERS = USERS.slice(0, 400)

/** The users of old clients that are told to update; all others get the app. */
async function toldOf({ port }: TestApp, headers = 'X-Version: 2\r\n', users = USERS): Promise<Set<string>> {
  const requests = users.map((user) => `GET / HTTP/1.1\r\nHost: a\r\nX-User: ${user}\r\n${headers}`)
  const answers = (await exchange(port, `${requests.join('\r\n')}Connection: close\r\n\r\n`)).split(/(?=HTTP\/1\.1 )/)
  expect(answers).toHaveLength(users.length)
  const told = users.filter((_, index) => answers[index]?.includes(' 426 '))
  const others = answers.filter((answer) => answer.includes(' 200 '))
  expect(told.length + others.length).toBe(users.length)
  return new Set(told)
}

describe('docs/guide-rollout.md', () => {
  test('each step reaches whom it says, keeps those of the step before, and compiles nothing', async () => {
    const running = await startApp()
    const seen = record(running.dyna)
    const told: Record<string, Set<string>> = {}
    for (const step of STEPS) {
      await running.serve(stepOf(step))
      // One in a hundred takes many to be seen.
      told[step] = await toldOf(running, undefined, step === '1' || step === '10' ? USERS : SOME_USERS)
      // Clients of today are never told, and from step 3 on neither are those that say no version.
      expect((await toldOf(running, 'X-Version: 3\r\n', USERS.slice(0, 100))).size).toBe(0)
      expect((await toldOf(running, '', USERS.slice(0, 100))).size).toBe(0)
    }
    const updates = payloadsOf(seen, 'bg_updated_plugins')
    expect(updates.map(({ compiled, failed }) => [compiled, failed])).toEqual([
      [1, 0],
      ...STEPS.slice(1).map(() => [0, 0]),
    ])
    expect([told.shadow?.size, told['100']?.size, told.back?.size]).toEqual([0, SOME_USERS.length, 0])
    const [one, ten] = [told['1'], told['10']] as [Set<string>, Set<string>]
    expect(Math.abs(one.size - 20)).toBeLessThan(15)
    expect(Math.abs(ten.size - 200)).toBeLessThan(60)
    expect([...one].filter((user) => !ten.has(user))).toEqual([])
  })

  test('every way back leads to where the step was', async () => {
    const running = await startApp()
    const told: number[][] = []
    for (const step of ['10', '1', 'shadow', '100', '1', 'back', '1']) {
      await running.serve(stepOf(step))
      told.push([...(await toldOf(running, undefined, SOME_USERS))].map((user) => Number(user.slice(5))))
    }
    const [, one, shadow, all, again, back, after] = told
    expect([shadow, back]).toEqual([[], []])
    expect(all).toHaveLength(SOME_USERS.length)
    expect([again, after]).toEqual([one, one])
  })

  test('the shadow step tells what the page shows, for old clients and for those without a version', async () => {
    const running = await startApp({ document: stepOf('shadow') })
    const seen = record(running.dyna, ['rt_plugins_shadow'])
    for (const headers of [{ 'x-version': '2' }, {}, { 'x-version': '3' }]) {
      await running.request.get('/').set(headers).expect(200, 'app')
    }
    const lines = payloadsOf(seen, 'rt_plugins_shadow').map(
      ({ plugin, effects }) => `${plugin.name} would: ${effects.join(', ')}`,
    )
    const shown = page.blocks.find(({ lang }) => lang === 'text')?.text
    expect(lines).toEqual([shown, shown, 'old clients would: '])
  })

  test('users whom nobody can tell apart are in no share, and in the last step', async () => {
    const running = await startApp()
    for (const [step, status] of [
      ['1', 200],
      ['10', 200],
      ['100', 426],
    ] as const) {
      await running.serve(stepOf(step))
      await running.request.get('/').set('X-Version', '2').expect(status)
    }
  })

  test('the trial ends by itself', async () => {
    const document = stepOf('10')
    const [plugin] = document.domains[0]?.plugins ?? []
    const running = await startApp({ document })
    await running.api.close()
    vi.useFakeTimers({ toFake: ['Date'], now: Date.parse(plugin?.expires_at as string) - 1 })
    onTestFinished(() => void vi.useRealTimers())
    expect((await toldOf(running, undefined, SOME_USERS)).size).toBeGreaterThan(20)
    vi.setSystemTime(Date.parse(plugin?.expires_at as string))
    expect((await toldOf(running, undefined, SOME_USERS)).size).toBe(0)
  })

  test('the schedule leads through the last three steps by itself', async () => {
    const document = stepOf('schedule')
    const start = Date.parse(document.domains[0]?.plugins[0]?.starts_at as string)
    vi.useFakeTimers({ toFake: ['Date'], now: start - 1 })
    onTestFinished(() => void vi.useRealTimers())
    const running = await startApp({ document })
    const told: Set<string>[] = []
    for (const minutes of [0, 29.9, 30, 149.9, 150, 100_000]) {
      vi.setSystemTime(start + minutes * 60_000)
      told.push(await toldOf(running, undefined, SOME_USERS))
    }
    vi.setSystemTime(start - 1)
    expect((await toldOf(running, undefined, SOME_USERS)).size).toBe(0)
    vi.useRealTimers()
    // The same users as in the steps that somebody publishes.
    for (const [at, step] of [
      [0, '1'],
      [2, '10'],
      [4, '100'],
    ] as const) {
      await running.serve(stepOf(step))
      const same = await toldOf(running, undefined, SOME_USERS)
      expect([told[at], told[at + 1]]).toEqual([same, same])
    }
  })

  test('the one with the bug stops itself, and prints what the page shows', async () => {
    const printed: string[] = []
    const running = await startApp({
      document: stepOf('bad'),
      options: {
        on_rollout_stop: ({ plugin, condition, limit, inside }) =>
          printed.push(
            `${plugin.name} stopped: ${condition} above ${limit}, ${inside.exits} exits in ${inside.runs} runs`,
          ),
      },
    })
    expect((await toldOf(running, '')).size).toBe(20)
    expect(printed).toEqual([page.blocks.findLast(({ lang }) => lang === 'text')?.text])
    expect((await toldOf(running, '')).size).toBe(0)
    expect(running.dyna.status().plugins).toMatchObject([{ state: 'stopped' }])
    await running.serve(stepOf('bad'))
    expect((await toldOf(running, '')).size).toBe(0)
  })

  test('all steps have the one line of code that the page begins with', () => {
    const line = page.blocks[0]?.text.split('\n').find((text) => text.startsWith('if ('))
    for (const step of ALL) expect(stepOf(step).domains[0]?.plugins[0]?.code).toBe(line)
  })

  describe('the check', () => {
    test.each(ALL)('has nothing to say of the document of step %s', async (step) => {
      expect(await check(JSON.stringify(stepOf(step)))).toEqual({ said: [], exitCode: undefined })
    })

    test.each([
      ['broken code', { domains: [{ name: '*', plugins: [{ name: 'p', phase: 'log', code: 'a(' }] }] }, /plugin "p":1/],
      ['a condition', { domains: [{ name: '*', plugins: [{ name: 'p', phase: 'log', code: '', when: 1 }] }] }, /when/],
      ['a domain', { domains: [{ name: '(', plugins: [] }] }, /domains\[0\]\.name/],
      ['the frame', { domains: 5 }, /domains: expected an array/],
    ])('names what is wrong, and ends with 1: %s', async (_what, document, words) => {
      const { said, exitCode } = await check(JSON.stringify(document))
      expect(said).toEqual([expect.stringMatching(words)])
      expect(exitCode).toBe(1)
    })
  })
})

/** Runs the page's script over a file of this text. */
async function check(text: string): Promise<{ said: string[]; exitCode: number | undefined }> {
  const folder = mkdtempSync(join(tmpdir(), 'dynacode-docs-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const file = join(folder, 'plugins.json')
  writeFileSync(file, text)
  const script = page.blocks.find(({ marks }) => marks.has('check'))?.text ?? ''
  const { outputText } = ts.transpileModule(script.replace(/^check\('plugins\.json'\)$/m, 'return check(file)'), {
    compilerOptions: { module: ts.ModuleKind.CommonJS, target: ts.ScriptTarget.ES2022 },
  })
  const said: string[] = []
  const outcome: { exitCode: number | undefined } = { exitCode: undefined }
  const require = createRequire(import.meta.url)
  const run = new Function('require', 'exports', 'process', 'console', 'file', outputText)
  await run(
    (name: string) => (name === 'dynacode' ? lib : require(name)),
    {},
    outcome,
    { error: (line: string) => said.push(line) },
    file,
  )
  return { said, exitCode: outcome.exitCode }
}
