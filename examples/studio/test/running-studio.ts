import type { AddressInfo } from 'node:net'
import supertest, { type Test } from 'supertest'
import type { StudioOptions } from '../server/studio.ts'
import { type Running, runStudio as runEmptyStudio } from './visitors.ts'

/** A studio that listens, and its first publisher, who is signed in. */
export interface RunningStudio extends Running {
  readonly address: string
  readonly ada: Visitor
}

/** Somebody at a browser. */
export interface Visitor {
  get(path: string): Test
  send(method: 'post' | 'put' | 'patch' | 'delete', path: string, body?: object): Test
}

/** Starts a studio on a free port, with an account. */
export async function runStudio(options: StudioOptions): Promise<RunningStudio> {
  const running = await runEmptyStudio(options)
  const { studio, server } = running
  const agent = supertest.agent(server)
  const account = { invitation: studio.invitation, name: 'Ada', password: 'correct horse battery' }
  const { body } = await agent.post('/api/accounts').send(account).expect(201)
  return {
    ...running,
    address: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    ada: {
      get: (path) => agent.get(path),
      send: (method, path, given) => agent[method](path).set('X-CSRF-Token', body.csrf).send(given),
    },
  }
}
