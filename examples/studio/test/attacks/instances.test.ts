import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { IN_MEMORY } from '../databases.ts'
import { createVisitor, type Running, runStudio } from '../visitors.ts'

const PASSWORD = 'correct horse battery'

describe('a studio whose document is private', () => {
  let running: Running
  const ada = createVisitor(() => running.server)
  beforeAll(async () => {
    running = await runStudio({ database: IN_MEMORY, private_document: true })
    await ada.sign('/api/accounts', { invitation: running.studio.invitation, name: 'Ada', password: PASSWORD })
  })
  afterAll(async () => {
    await running.close()
    expect(running.failures).toEqual([])
  })

  const make = async (expires_at: string | null = null) =>
    (await ada.post('/api/tokens', { name: 'app', role: 'reporter', expires_at }).expect(201)).body
  const ask = (secret: string, headers: object = {}) => {
    const { port } = running.server.address() as AddressInfo
    const authorization = `Bearer ${secret}`
    return fetch(`http://127.0.0.1:${port}/plugins.json`, { headers: { authorization, ...headers } })
  }
  const wait = async (secret: string) => {
    const etag = (await ask(secret)).headers.get('etag') as string
    return ask(secret, { 'if-none-match': etag, prefer: 'wait=60' })
  }

  test('G55 reporter | outlives | gets no version that is published after the token was revoked', async ({ task }) => {
    task.meta.attacks = 2
    const token = await make()
    const waited = wait(token.secret).catch((error: Error) => error)
    // What waits is there before the token ends.
    await expect.poll(() => ask(token.secret).then(({ status }) => status)).toBe(200)
    await ada.delete(`/api/tokens/${token.id}`).expect(204)
    expect(await waited).toBeInstanceOf(Error)
    // Nor within the time for which a token is remembered.
    expect((await ask(token.secret)).status).toBe(401)
  })

  test('G55 reporter | outlives | waits for nothing beyond the end of the token', async () => {
    // On a busy machine a token may have ended before anybody waits: then one that lasts longer.
    for (let lasts_ms = 1000; ; lasts_ms *= 2) {
      const token = await make(new Date(Date.now() + lasts_ms).toISOString())
      const ended: unknown = await wait(token.secret).catch((error: Error) => error)
      expect((await ask(token.secret)).status).toBe(401)
      if (ended instanceof Response && ended.status === 401 && lasts_ms < 30_000) continue
      expect(String(ended)).toContain('fetch failed')
      break
    }
  })
})
