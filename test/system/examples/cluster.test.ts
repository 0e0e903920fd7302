import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { makeFolder } from '../../fixtures/processes.ts'

const EXAMPLE = join(import.meta.dirname, '..', '..', '..', 'examples', 'cluster')
/** Generous: these are real processes, on machines with other work. */
const PATIENCE = { timeout: 60_000, interval: 20 }

interface Answer {
  readonly status: number
  readonly worker: string
  readonly text: string
}

async function start() {
  const [folder, scratch] = [makeFolder(), makeFolder()]
  cpSync(join(EXAMPLE, 'plugins'), folder, { recursive: true })
  const child = spawn(process.execPath, ['--import', 'tsx', join(EXAMPLE, 'start.ts')], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, PORT: '0', WORKERS: '4', PLUGINS_FOLDER: folder, TMPDIR: scratch },
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (output += text))
  await expect.poll(() => output, PATIENCE).toContain('Ctrl-C ends it.')
  const address = /processes answer at (\S+),/.exec(output)?.[1] as string
  const ask = async (path: string, headers = {}): Promise<Answer> => {
    // A connection for each, so that the processes take turns.
    const response = await fetch(`${address}${path}`, { headers: { connection: 'close', ...headers } })
    return {
      status: response.status,
      worker: response.headers.get('x-worker') as string,
      text: await response.text(),
    }
  }
  return { folder, scratch, child, ask, output: () => output }
}

/** Asks until told to stop, two at a time. */
function load(ask: () => Promise<Answer>) {
  const answers: Answer[] = []
  const failures: unknown[] = []
  let stopped = false
  const loops = [1, 2].map(async () => {
    while (!stopped) {
      await ask().then(
        (answer) => answers.push(answer),
        (error) => failures.push(error),
      )
      await sleep(2)
    }
  })
  return {
    answers,
    failures,
    async stop() {
      stopped = true
      await Promise.all(loops)
    },
  }
}

async function endOf(child: ChildProcess): Promise<unknown> {
  if (child.exitCode === null) await once(child, 'exit')
  return child.exitCode
}

test('a change is live in every worker under load; one that is killed is replaced; Ctrl-C ends all', async () => {
  const { folder, scratch, child, ask, output } = await start()
  expect(await ask('/', { 'user-agent': 'Robot' })).toMatchObject({ status: 403 })
  const under = load(() => ask('/hello'))
  const newest = (text: string) =>
    new Set(under.answers.slice(-60).flatMap((each) => (each.text === text ? each.worker : [])))
  await expect.poll(() => newest('hello from a plugin\n').size, PATIENCE).toBe(4)

  for (const word of ['one', 'two', 'three']) {
    writeFileSync(join(folder, 'greeting.js'), `say('${word}')`)
    await expect.poll(() => newest(`${word}\n`).size, PATIENCE).toBe(4)
    await expect.poll(() => under.answers.slice(-20).every(({ text }) => text === `${word}\n`), PATIENCE).toBe(true)
  }
  await under.stop()
  expect(under.failures).toEqual([])
  expect(under.answers.filter(({ status }) => status !== 200)).toEqual([])

  const [victim] = newest('three\n')
  process.kill(Number(victim), 'SIGKILL')
  await expect.poll(output, PATIENCE).toContain(`worker ${victim} ended (SIGKILL)`)
  const after = load(() => ask('/hello'))
  await expect.poll(() => new Set(after.answers.slice(-60).map(({ worker }) => worker)).size, PATIENCE).toBe(4)
  await after.stop()
  expect(after.answers.every(({ text }) => text === 'three\n')).toBe(true)

  child.kill('SIGINT')
  expect(await endOf(child)).toBe(0)
  expect(readdirSync(scratch).filter((name) => name.startsWith('dynacode-'))).toEqual([])
})
