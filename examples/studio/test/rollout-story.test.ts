import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type Dynacode, dynacode } from 'dynacode'
import Koa from 'koa'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Rollout } from '../shared/rollouts.ts'
import { beginSet } from './change-sets.ts'
import { IN_MEMORY } from './databases.ts'
import { type RunningStudio, runStudio } from './running-studio.ts'

/** A studio, and a fleet of whole apps that poll it and report to it, on real sockets. */
let studio: RunningStudio
const apps: { dyna: Dynacode; server: Server; port: number }[] = []
const FLEET = 3

async function startApp(): Promise<void> {
  const dyna = dynacode({
    plugin_api_uri: `${studio.address}/plugins.json`,
    plugin_api_wait: 30,
    report_uri: `${studio.address}/api/reports`,
    report_headers: { authorization: 'Bearer reporter' },
    report_interval: 1,
    logger: false,
  })
  const app = new Koa()
  app.use(dyna)
  app.use((ctx) => {
    ctx.body = 'app'
  })
  const server = createServer(app.callback()).listen(0, '127.0.0.1')
  await once(server, 'listening')
  apps.push({ dyna, server, port: (server.address() as AddressInfo).port })
  await dyna.ready()
}

beforeAll(async () => {
  studio = await runStudio({ database: IN_MEMORY, report_token: 'reporter' })
  const set = await beginSet(studio.ada)
  await set.addDomain('*').expect(201)
  const plain = { name: 'plain', phase: 'log', fields: { code: 'ctx.state.seen = true' } }
  await set.add('*', plain).expect(201)
  expect(await set.publish('begin')).toMatchObject({ status: 201 })
  for (let at = 0; at < FLEET; at += 1) await startApp()
})
afterAll(async () => {
  for (const { dyna, server } of apps) {
    await dyna.close()
    server.closeAllConnections()
    server.close()
  }
  await studio.close()
  expect(studio.failures).toEqual([])
})

/** Requests of clients that are all different, to one app after the other. */
let clients = 0
async function request(times: number, to = apps): Promise<string[]> {
  return Promise.all(
    Array.from({ length: times }, async () => {
      clients += 1
      const { port } = to[clients % to.length] as (typeof apps)[number]
      const answer = await fetch(`http://127.0.0.1:${port}/`, { headers: { 'x-client': `client ${clients}` } })
      await answer.text()
      return answer.headers.get('x-new') ?? ''
    }),
  )
}
async function publish(name: string, fields: object): Promise<void> {
  const set = await beginSet(studio.ada)
  await set.add('*', { name, phase: 'access', fields }).expect(201)
  expect(await set.publish(name)).toMatchObject({ status: 201 })
}
const find = async (name: string) => {
  const query = { domain: '*', plugin: name, phase: 'access' }
  return (await studio.ada.get('/api/rollouts/of').query(query)).body.rollouts[0] as Rollout | undefined
}
const versions = async () => (await studio.ada.get('/api/versions')).body
/** The states of a plugin in the processes of the fleet. */
const sharesOf = (name: string) =>
  apps.map(({ dyna }) => dyna.status().plugins.find((plugin) => plugin.name === name)?.rollout?.percent)

test('a bad plugin at 10 % is stopped in the whole fleet, though one process alone has seen it fail', async () => {
  const rollout = { percent: 10, by: 'header:x-client', stop_when: { error_rate: 0.05 } }
  await publish('bad', { code: "throw new Error('bad')", rollout })
  await expect.poll(() => sharesOf('bad'), { timeout: 60_000 }).toEqual([10, 10, 10])
  const [first] = apps
  const state = () => first?.dyna.status().plugins.find(({ name }) => name === 'bad')?.rollout
  // Only what goes to the first one: it alone can know.
  while (state()?.stopped == null) await request(40, [first as (typeof apps)[number]])
  expect(state()?.inside?.errors).toBeLessThanOrEqual(40)
  await expect.poll(async () => (await find('bad'))?.state, { timeout: 60_000 }).toBe('stopped')
  await expect.poll(() => sharesOf('bad'), { timeout: 60_000 }).toEqual([0, 0, 0])
  expect((await find('bad'))?.reason).toMatch(/^more than 5 % of the runs fail: \d+ of \d+, (on |in all)/)
  const [newest] = await versions()
  expect(newest).toMatchObject({ kind: 'stop', created_by: null })
  for (const { dyna } of apps) expect(dyna.status().version).toBe(newest.version)
})

test('a good plugin goes by itself from 10 % to everybody', async () => {
  const rollout = { percent: 10, by: 'header:x-client', stop_when: { error_rate: 0.05, min_runs: 5 } }
  const steps = [{ percent: 10, for: '1s' }, { percent: 50, for: '1s' }, { percent: 100 }]
  await publish('good', { code: "ctx.set('x-new', 'yes')", rollout, 'x-steps': steps })
  const shares = new Set<number>()
  const look = async () => {
    await request(60)
    const found = await find('good')
    if (found !== undefined) shares.add(found.percent)
    return found?.percent
  }
  await expect.poll(look, { timeout: 100_000 }).toBe(100)
  expect([...shares]).toEqual([10, 50, 100])
  await expect.poll(() => sharesOf('good'), { timeout: 60_000 }).toEqual([100, 100, 100])
  expect(new Set(await request(30))).toEqual(new Set(['yes']))
  const messages = (await versions()).slice(0, 3).map(({ message }: { message: string }) => message)
  expect(messages).toEqual([
    'good: 100 %, step 3 of 3: 3 of 3 processes report no problem',
    'good: 50 %, step 2 of 3: 3 of 3 processes report no problem',
    'good',
  ])
})
