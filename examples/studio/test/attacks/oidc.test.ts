import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { readRoles } from '../../server/oidc/provider.ts'
import { IN_MEMORY } from '../databases.ts'
import { CLIENT, type Provider, startProvider } from '../fixtures/provider.ts'
import { createGuest } from '../fixtures/sign-in.ts'
import { type Running, runStudio } from '../visitors.ts'

const ELSEWHERE = [
  'https://evil.example.com/',
  '//evil.example.com/',
  '/\\evil.example.com',
  '\\\\evil.example.com',
  '/%2f/../..//evil.example.com',
  '/.//evil.example.com',
  'javascript:alert(1)',
  'data:text/html,x',
  'http://127.0.0.1:1/',
  '/\t/evil.example.com',
]

describe('signing in by a provider', () => {
  let running: Running
  let provider: Provider
  let other: Provider
  beforeAll(async () => {
    ;[provider, other] = await Promise.all([startProvider(), startProvider()])
    const roles = readRoles('publisher=platform,viewer=*')
    running = await runStudio({
      database: IN_MEMORY,
      oidc: {
        ...CLIENT,
        issuer: provider.issuer,
        name: 'Example Inc.',
        scope: 'openid',
        role_claim: 'groups',
        roles,
        link_email: true,
      },
    })
  })
  beforeEach(() => {
    Object.assign(provider, { lies: {}, detour: {}, signs: 'truly', person: { sub: 'mallory', groups: ['platform'] } })
  })
  afterAll(async () => {
    await running.close()
    provider.close()
    other.close()
    expect(running.failures).toEqual([])
  })
  const guest = () => createGuest(() => running.server)
  const expectOut = async (mallory: ReturnType<typeof guest>, where: string, what?: string) => {
    expect.soft(where, what).toBe('/#sign-in-failed')
    expect.soft((await mallory.agent.get('/api/session')).status, what).toBe(401)
  }

  test('G55 stranger | signs in | a token that lies lets nobody in', async ({ task }) => {
    const now = Math.floor(Date.now() / 1000)
    const lies: Record<string, Record<string, unknown>> = {
      'another issuer': { iss: other.issuer },
      'another audience': { aud: 'another app' },
      'several audiences, for another': { aud: ['another app', 'studio'], azp: 'another app' },
      'an old token': { iat: now - 7200, exp: now - 3600 },
      'another nonce': { nonce: 'guessed' },
      'no nonce': { nonce: undefined },
      'no subject': { sub: undefined },
    }
    for (const [what, lie] of Object.entries(lies)) {
      provider.lies = lie
      const mallory = guest()
      await expectOut(mallory, await mallory.signIn(), what)
    }
    provider.lies = {}
    for (const signs of ['falsely', 'never'] as const) {
      provider.signs = signs
      const mallory = guest()
      await expectOut(mallory, await mallory.signIn(), signs)
    }
    task.meta.attacks = Object.keys(lies).length + 2
  })

  test('G55 stranger | signs in | a way back that is not as it was begun lets nobody in', async ({ task }) => {
    const detours: Record<string, Record<string, string>> = {
      'another state': { state: 'guessed' },
      // Of two providers, the code of one is sent to the other (RFC 9207).
      'a mixed-up issuer': { iss: other.issuer },
      'another code': { code: 'guessed' },
      'an error': { error: 'access_denied' },
    }
    for (const [what, detour] of Object.entries(detours)) {
      provider.detour = detour
      const mallory = guest()
      await expectOut(mallory, await mallory.signIn(), what)
    }
    task.meta.attacks = Object.keys(detours).length
  })

  test('G55 stranger | signs in | a code works once, and in the browser that began', async ({ task }) => {
    task.meta.attacks = 4
    const victim = guest()
    const path = await victim.toProvider()
    // Somebody has seen the address, or leads a victim to one's own.
    const mallory = guest()
    await expectOut(mallory, await mallory.back(path), 'no attempt of this browser')
    await mallory.toProvider()
    await expectOut(mallory, await mallory.back(path), 'another attempt')
    expect(await victim.back(path)).toBe('/')
    const again = guest()
    await expectOut(again, await again.back(path), 'after it was used')
    await victim.back(path)
    await expectOut(guest(), await guest().back('/api/sign-in/callback'), 'nothing at all')
  })

  test('G55 stranger | leads away | nobody is led out of the studio', async ({ task }) => {
    for (const to of ELSEWHERE) {
      const ada = guest()
      const where = await ada.signIn(to)
      expect.soft(new URL(where, 'http://studio.example.com').origin, to).toBe('http://studio.example.com')
      expect.soft(where, to).toMatch(/^\/(?![/\\])/)
    }
    task.meta.attacks = ELSEWHERE.length
  })

  test('G55 stranger | signs in | nobody signs in by password to an account of the provider', async ({ task }) => {
    const ada = guest()
    provider.person = { sub: 'ada', name: 'Ada', groups: ['platform'] }
    await ada.signIn()
    for (const password of ['none', '', 'null', 'undefined']) {
      await guest().agent.post('/api/session').send({ name: 'Ada', password }).expect(401)
    }
    task.meta.attacks = 4
  })
})
