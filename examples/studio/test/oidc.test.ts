import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { readRoles } from '../server/oidc/provider.ts'
import { readSettings } from '../settings.ts'
import { IN_MEMORY } from './databases.ts'
import { CLIENT, type Provider, startProvider } from './fixtures/provider.ts'
import { createGuest } from './fixtures/sign-in.ts'
import { createVisitor, type Running, runStudio } from './visitors.ts'

const PASSWORD = 'correct horse battery'

describe('signing in by a provider', () => {
  let running: Running
  let provider: Provider
  const ada = createVisitor(() => running.server)
  const guest = () => createGuest(() => running.server)

  const start = async (part: { link_email?: boolean; role_claim?: string } = {}) => {
    running = await runStudio({
      database: IN_MEMORY,
      oidc: {
        ...CLIENT,
        issuer: provider.issuer,
        name: 'Example Inc.',
        scope: 'openid profile email',
        role_claim: 'groups',
        roles: readRoles('publisher=platform,author=dev,viewer=staff'),
        link_email: false,
        ...part,
      },
    })
    await ada.sign('/api/accounts', { invitation: running.studio.invitation, name: 'Ada', password: PASSWORD })
  }
  beforeEach(async () => {
    provider = await startProvider()
  })
  afterEach(async () => {
    await running.close()
    provider.close()
    expect(running.failures).toEqual([])
  })

  test('is offered where it is set up', async () => {
    await start()
    await guest().agent.get('/api/sign-in').expect(200, { provider: 'Example Inc.' })
  })

  test('makes an account at the first time, with the role that the claim gives, and finds it later', async () => {
    await start()
    provider.person = { sub: 'u-1', name: 'Grace Hopper', groups: ['dev', 'other'] }
    const grace = guest()
    expect(await grace.signIn('/plugins/3?a=b')).toBe('/plugins/3?a=b')
    expect(await grace.session()).toMatchObject({ name: 'Grace Hopper', role: 'author', has_password: false })
    const again = guest()
    provider.person = { sub: 'u-1', name: 'Another Name', groups: ['platform'] }
    await again.signIn()
    // The role is what the provider says now, in every session.
    expect(await again.session()).toMatchObject({ name: 'Grace Hopper', role: 'publisher' })
    expect(await grace.session()).toMatchObject({ role: 'publisher' })
    const { body } = await ada.get('/api/accounts').expect(200)
    expect(body.map(({ name }: { name: string }) => name)).toEqual(['Ada', 'Grace Hopper'])
  })

  test('refuses who has no role, and who was shut out', async () => {
    await start()
    provider.person = { sub: 'u-2', name: 'Eve', groups: ['sales'] }
    expect(await guest().signIn()).toBe('/#sign-in-refused')
    provider.person = { sub: 'u-3', name: 'Bob', groups: ['staff'] }
    const bob = guest()
    await bob.signIn()
    const { body } = await ada.get('/api/accounts').expect(200)
    const { id } = body.find(({ name }: { name: string }) => name === 'Bob')
    await ada.patch(`/api/accounts/${id}`, { active: false }).expect(200)
    await bob.agent.get('/api/session').expect(401)
    expect(await guest().signIn()).toBe('/#sign-in-refused')
    await ada.get('/api/audit').expect(/fail to sign in/)
  })

  test('gives nobody an account of the same name, or of the same mail address', async () => {
    await start()
    provider.person = { sub: 'u-4', name: 'Ada', groups: ['staff'], email: 'Ada', email_verified: true }
    const other = guest()
    await other.signIn()
    expect(await other.session()).toMatchObject({ name: 'Ada 2', role: 'viewer' })
  })

  test('takes over the account of a verified mail address where that is allowed, and ends all that came before', async () => {
    await start({ link_email: true })
    const invited = (await ada.post('/api/invitations', { role: 'author' }).expect(201)).body.secret
    const before = createVisitor(() => running.server)
    const name = 'grace@example.com'
    await before.sign('/api/accounts', { invitation: invited, name, password: PASSWORD })
    const waiting = (await ada.post('/api/accounts/2/password-link', {}).expect(201)).body.secret
    provider.person = { sub: 'u-5', groups: ['dev'], email: 'Grace@example.com', email_verified: false, name: 'Grace' }
    await guest().signIn()
    provider.person = { ...provider.person, sub: 'u-6', email_verified: true }
    const grace = guest()
    await grace.signIn()
    expect(await grace.session()).toMatchObject({ name, role: 'author', has_password: false })
    await before.get('/api/session').expect(401)
    await before.open().post('/api/session').send({ name, password: PASSWORD }).expect(401)
    await before.open().post('/api/accounts').send({ invitation: waiting, password: 'another password' }).expect(410)
    await ada.post('/api/accounts/2/password-link', {}).expect(409, /has no password/)
    // A second one of that address gets an account of its own.
    provider.person = { ...provider.person, sub: 'u-7' }
    const second = guest()
    await second.signIn()
    expect((await second.session()).name).not.toBe(name)
  })

  test('reads a claim that lies deeper', async () => {
    await start({ role_claim: 'realm_access.roles' })
    provider.person = { sub: 'u-8', name: 'Deep', realm_access: { roles: ['dev'] } }
    const deep = guest()
    await deep.signIn()
    expect(await deep.session()).toMatchObject({ role: 'author' })
  })

  test('ends as every session does', async () => {
    await start()
    provider.person = { sub: 'u-9', name: 'Out', groups: ['staff'] }
    const out = guest()
    await out.signIn()
    const { csrf } = await out.session()
    await out.agent.delete('/api/session').set('X-CSRF-Token', csrf).expect(204)
    await out.agent.get('/api/session').expect(401)
  })

  test('says so when the provider is not there, and works when it is back', async () => {
    await start()
    const { issuer } = provider
    provider.close()
    await guest()
      .agent.get('/api/sign-in/provider')
      .expect(502, /the sign-in provider cannot be reached/)
    expect(issuer).toBe(provider.issuer)
  })
})

test('settings of a provider are whole, or refused by name', async () => {
  const given = { OIDC_ISSUER: 'https://id.example.com', OIDC_CLIENT_ID: 'studio', OIDC_ROLES: 'viewer=*' }
  expect((await readSettings(given)).oidc).toMatchObject({ roles: [{ role: 'viewer', value: '*' }], link_email: false })
  await expect(readSettings({ ...given, OIDC_ROLES: undefined })).rejects.toThrow(/^OIDC_ROLES: expected as well/)
  await expect(readSettings({ ...given, OIDC_ROLES: 'admin=*' })).rejects.toThrow(/^OIDC_ROLES: expected roles/)
  await expect(readSettings({ ...given, OIDC_CLIENT_ID: undefined })).rejects.toThrow(/^OIDC_CLIENT_ID/)
  await expect(readSettings({ ...given, OIDC_ISSUER: 'http://id.example.com' })).rejects.toThrow(/^OIDC_ISSUER/)
})
