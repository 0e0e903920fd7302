import { type ChildProcess, fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import type { Server } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Status } from 'dynacode'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Rollout } from '../shared/rollouts.ts'
import { beginSet } from './change-sets.ts'
import { createVisitor } from './visitors.ts'

/** A studio and a fleet of three apps, each of them a process of its own. */
const processes: ChildProcess[] = []
const folder = mkdtempSync(join(tmpdir(), 'studio-'))
const TSX = ['--import', 'tsx']
const FLEET = 3
const soon = <T>(look: () => Promise<T>) => expect.poll(look, { timeout: 60_000, interval: 100 })

let address = ''
const ada = createVisitor(() => address as unknown as Server)
interface App {
  readonly pid: number
  readonly port: number
  status(): Promise<Pick<Status, 'version' | 'plugins'>>
}
let apps: readonly App[] = []

/** Starts the studio as an operator does. Resolves with the secret of its first invitation. */
async function startStudio(): Promise<string> {
  const env = { ...process.env, STUDIO_FOLDER: folder, PORT: '0', DEMO: '0' }
  const child = spawn(process.execPath, [...TSX, 'start.ts'], { env, cwd: join(import.meta.dirname, '..') })
  processes.push(child)
  let said = ''
  return new Promise((resolve, reject) => {
    child.once('exit', () => reject(new Error(`the studio ended: ${said}`)))
    const read = (part: unknown) => {
      said += part
      const [, found, invitation] = /(http:\/\/[^\s/]+)\/join#(\S+)/.exec(said) ?? []
      if (found === undefined || invitation === undefined) return
      address = found
      resolve(invitation)
    }
    child.stdout.on('data', read)
    child.stderr.on('data', read)
  })
}

async function startApp(token: string): Promise<App> {
  const child = fork(join(import.meta.dirname, 'fixtures', 'fleet-app.ts'), [address, token], { execArgv: TSX })
  processes.push(child)
  const ended = once(child, 'exit').then(([code]) => Promise.reject(new Error(`an app ended with ${code}`)))
  ended.catch(() => undefined)
  const hear = async <T>() => (await Promise.race([once(child, 'message'), ended]))[0] as T
  const { port } = await hear<{ port: number }>()
  return {
    pid: child.pid as number,
    port,
    status() {
      child.send('status')
      return hear()
    },
  }
}

beforeAll(async () => {
  await ada.sign('/api/accounts', { invitation: await startStudio(), name: 'Ada', password: 'correct horse battery' })
  const { secret } = (await ada.post('/api/tokens', { name: 'fleet', role: 'reporter', expires_at: null })).body
  const set = await beginSet(ada)
  await set.addDomain('*').expect(201)
  await set.add('*', { name: 'plain', phase: 'log', fields: { code: 'ctx.state.seen = true' } }).expect(201)
  expect(await set.publish('begin')).toMatchObject({ status: 201 })
  apps = await Promise.all(Array.from({ length: FLEET }, () => startApp(secret)))
})
afterAll(async () => {
  for (const child of processes) {
    if (child.exitCode !== null || child.signalCode !== null) continue
    const ended = once(child, 'exit')
    child.kill('SIGKILL')
    await ended
  }
  rmSync(folder, { recursive: true, force: true })
})

let clients = 0
/** Requests of clients that are all different, to one app after the other; resolves with what they got of the plugin. */
async function request(times: number, to = apps): Promise<(string | null)[]> {
  const answers: (string | null)[] = []
  for (let at = 0; at < times; at += 1) {
    clients += 1
    const { port } = to[clients % to.length] as App
    const answer = await fetch(`http://127.0.0.1:${port}/`, { headers: { 'x-client': `client ${clients}` } })
    expect(await answer.text()).toBe('app')
    answers.push(answer.headers.get('x-new'))
  }
  return answers
}
async function publish(name: string, fields: object): Promise<void> {
  const set = await beginSet(ada)
  await set.add('*', { name, phase: 'access', fields }).expect(201)
  expect(await set.publish(name)).toMatchObject({ status: 201 })
}
const rolloutOf = async (name: string): Promise<Rollout | undefined> =>
  (await ada.get('/api/rollouts/of').query({ domain: '*', plugin: name, phase: 'access' })).body.rollouts[0]
/** A plugin's rollout in each process. */
const inFleet = async (name: string) =>
  Promise.all(
    apps.map(async (app) => (await app.status()).plugins.find((plugin) => plugin.name === name)?.rollout ?? null),
  )
const shares = async (name: string) => (await inFleet(name)).map((rollout) => rollout?.percent)
const STEPS = [{ percent: 10, for: '1s' }, { percent: 50, for: '1s' }, { percent: 100 }]
const rollout = { percent: 10, by: 'header:x-client', stop_when: { error_rate: 0.05, min_runs: 10 } }

test('a plugin that throws at 10 % is stopped in every process by what one of them has seen', async () => {
  await publish('bad', {
    code: "throw new Error('bad')",
    rollout,
    'x-steps': STEPS.map((step) => ({ ...step, for: '1h' })),
  })
  await soon(() => shares('bad')).toEqual([10, 10, 10])
  const [first] = apps as [App]
  // Only what goes to the first one: the others know of it by the studio alone.
  for (let tries = 0; tries < 20 && (await inFleet('bad'))[0]?.stopped === null; tries += 1) await request(50, [first])
  await soon(() => shares('bad')).toEqual([0, 0, 0])
  expect(await rolloutOf('bad')).toMatchObject({ state: 'stopped', percent: 0 })
  const harmed = (await rolloutOf('bad'))?.counts.inside.errors ?? 0
  expect(harmed).toBeGreaterThan(0)
  expect(harmed).toBeLessThanOrEqual(10)
  const [newest] = (await ada.get('/api/versions')).body
  expect(newest).toMatchObject({ kind: 'stop', created_by: null })
  expect(newest.message).toMatch(
    new RegExp(`^bad: rollout stopped: more than 5 % of the runs fail: .*(process ${first.pid}|together)`),
  )
  for (const app of apps) expect((await app.status()).version).toBe(newest.version)
  const { body: log } = await ada.get('/api/audit')
  expect(log[0]).toMatchObject({ action: 'stop', details: { plugin: 'bad', reported_by: 'token fleet' } })
})

test('a good plugin goes through its steps, to everybody', async () => {
  await publish('good', { code: "ctx.set('x-new', 'yes')", rollout, 'x-steps': STEPS })
  await soon(async () => {
    await request(90)
    return (await rolloutOf('good'))?.percent
  }).toBe(100)
  await soon(() => shares('good')).toEqual([100, 100, 100])
  expect(new Set(await request(9))).toEqual(new Set(['yes']))
  const messages = (await ada.get('/api/versions')).body.slice(0, 3).map(({ message }: { message: string }) => message)
  expect(messages).toEqual([
    'good: 100 %, step 3 of 3: 3 of 3 processes report no problem',
    'good: 50 %, step 2 of 3: 3 of 3 processes report no problem',
    'good',
  ])
})
