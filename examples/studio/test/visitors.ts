import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import supertest from 'supertest'
import { type Studio, type StudioOptions, startStudio } from '../server/studio.ts'
import { WARM_THREADS } from './warm-threads.ts'

/** A studio that listens, and everything that it did not foresee. */
export interface Running {
  readonly studio: Studio
  readonly server: Server
  readonly failures: readonly unknown[]
  close(): Promise<void>
}

/** Starts a studio on a free port. */
export async function runStudio(options: StudioOptions): Promise<Running> {
  const failures: unknown[] = []
  const studio = await startStudio({ failed: (error) => failures.push(error), threads: WARM_THREADS, ...options })
  const server = createServer(studio.app.callback()).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    studio,
    server,
    failures,
    async close() {
      server.close()
      server.closeAllConnections()
      await studio.close()
    },
  }
}

type Method = 'post' | 'put' | 'patch' | 'delete'

/** Somebody at a browser. */
export type Visitor = ReturnType<typeof createVisitor>

/** Makes somebody at a browser. */
export function createVisitor(server: () => Server) {
  let agent: ReturnType<typeof supertest.agent>
  let csrf = ''
  const send = (method: Method, path: string, body?: object) => agent[method](path).set('X-CSRF-Token', csrf).send(body)
  const visitor = {
    open() {
      agent = supertest.agent(server())
      return agent
    },
    async sign(path: string, body: object) {
      const { body: session } = await visitor
        .open()
        .post(path)
        .send(body)
        .expect((response) => {
          if (response.status >= 300) throw new Error(response.text)
        })
      csrf = session.csrf
    },
    get: (path: string) => agent.get(path),
    send,
    post: (path: string, body: object) => send('post', path, body),
    put: (path: string, body: object) => send('put', path, body),
    patch: (path: string, body: object) => send('patch', path, body),
    delete: (path: string, body?: object) => send('delete', path, body),
  }
  return visitor
}
