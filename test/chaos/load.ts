import { Agent, get } from 'node:http'
import { setTimeout as wait } from 'node:timers/promises'

/** What came of one request. Times as `performance.now()` tells them. */
export interface Outcome {
  readonly began: number
  readonly ended: number
  /** The version that the plugins wrote into the answer; undefined when there was no answer. */
  readonly version: string | undefined
  /** What is wrong with it. */
  readonly error: string | undefined
}

/** A client that asks again and again, one request after the other. */
export interface Client {
  stop(): Promise<void>
}

/**
 * Starts a client.
 *
 * @param uri asked before each request: a server may come back elsewhere
 * @param pause_ms time between two requests
 */
export function startClient(uri: () => string, pause_ms: number, told: (outcome: Outcome) => void): Client {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  let stopped = false

  const ask = () =>
    new Promise<Outcome>((resolve) => {
      const began = performance.now()
      const done = (version: string | undefined, error: string | undefined) =>
        resolve({ began, ended: performance.now(), version, error })
      const request = get(uri(), { agent, timeout: 10_000 }, (response) => {
        const chunks: Buffer[] = []
        response.on('error', (error) => done(undefined, error.message))
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('end', () => {
          const { 'x-version': version, 'x-check': check } = response.headers
          const body = Buffer.concat(chunks).toString()
          if (response.statusCode !== 200 || body !== 'app') return done(undefined, `answered ${response.statusCode}`)
          if (version === undefined || version !== check) return done(undefined, `mixed: ${version} and ${check}`)
          done(String(version), undefined)
        })
      })
      request.on('timeout', () => request.destroy(new Error('no answer for 10 s')))
      request.on('error', (error) => done(undefined, error.message))
    })

  const asking = (async () => {
    while (!stopped) {
      told(await ask())
      await wait(pause_ms)
    }
    agent.destroy()
  })()

  return {
    stop() {
      stopped = true
      return asking
    },
  }
}
