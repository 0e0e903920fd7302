import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import supertest, { type Test } from 'supertest'
import { type Studio, type StudioOptions, startStudio } from '../server/studio.ts'

/** A studio that listens, and its first publisher, who is signed in. */
export interface RunningStudio {
  readonly studio: Studio
  readonly server: Server
  readonly address: string
  readonly ada: Visitor
  /** Errors that nobody foresaw. */
  readonly failures: readonly unknown[]
  close(): Promise<void>
}

/** Somebody at a browser. */
export interface Visitor {
  get(path: string): Test
  send(method: 'post' | 'put' | 'patch' | 'delete', path: string, body?: object): Test
}

/** Starts a studio for the tests of one file. */
export async function runStudio(options: StudioOptions): Promise<RunningStudio> {
  const failures: unknown[] = []
  const studio = await startStudio({ failed: (error) => failures.push(error), ...options })
  const server = createServer(studio.app.callback()).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const agent = supertest.agent(server)
  const account = { invitation: studio.invitation, name: 'Ada', password: 'correct horse battery' }
  const { body } = await agent.post('/api/accounts').send(account).expect(201)
  return {
    studio,
    server,
    address: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    failures,
    ada: {
      get: (path) => agent.get(path),
      send: (method, path, given) => agent[method](path).set('X-CSRF-Token', body.csrf).send(given),
    },
    async close() {
      server.close()
      server.closeAllConnections()
      await studio.close()
    },
  }
}
