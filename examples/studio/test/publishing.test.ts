import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Actor } from '../server/auth/actor.ts'
import { acceptInvitation, inviteAccount, inviteFirst } from '../server/auth/invitations.ts'
import { approveProposal, compareProposal, listProposals, proposeDraft } from '../server/publishing/proposals.ts'
import { throwSwitch } from '../server/publishing/switches.ts'
import { findLatest, publishDraft, rollBack } from '../server/publishing/versions.ts'
import type { Database } from '../server/store/database.ts'
import { addDomain } from '../server/store/domains.ts'
import { addPlugin, listPlugins, savePlugin } from '../server/store/plugins.ts'
import { databases } from './databases.ts'

const RULES = { globals: [], key: undefined, two_persons: false }
const CORS = { name: 'cors', phase: 'header_filter', fields: { code: "ctx.set('Access-Control-Allow-Origin', '*')" } }

describe.each(databases)('publishing on $name', ({ open }) => {
  let database: Database
  let actor: Actor
  beforeEach(async () => {
    database = await open()
    const secret = (await inviteFirst(database.db, false)) as string
    const { id, name, role } = await acceptInvitation(database.db, secret, 'ada', 'a long enough one')
    actor = { account_id: id, name, role, csrf: undefined }
  })
  afterEach(() => database.close())

  async function addCors() {
    const domain = await addDomain(database.db, actor, '^shop')
    return addPlugin(database.db, actor, domain.id, CORS)
  }
  const live = async () => JSON.parse((await findLatest(database.db))?.document ?? 'null')

  test('makes versions that only grow, of what is in the draft', async () => {
    const plugin = await addCors()
    await publishDraft(database.db, actor, { message: 'cors', base: 0 }, RULES)
    expect(await live()).toEqual({
      general: { version: 1 },
      domains: [{ name: '^shop', plugins: [{ name: 'cors', phase: 'header_filter', ...CORS.fields }] }],
    })
    await savePlugin(database.db, actor, plugin.id, plugin.revision, { ...CORS, fields: { code: "ctx.set('a', 'b')" } })
    await publishDraft(database.db, actor, { message: 'other', base: 1 }, RULES)
    expect((await live()).general).toEqual({ version: 2 })
    await rollBack(database.db, actor, 1, RULES)
    expect(await live()).toMatchObject({ general: { version: 3 }, domains: [{ plugins: [CORS.fields] }] })
  })

  test('refuses what does not compile, and leaves what is live', async () => {
    const plugin = await addCors()
    await publishDraft(database.db, actor, { message: 'cors', base: 0 }, RULES)
    await savePlugin(database.db, actor, plugin.id, 1, { ...CORS, fields: { code: 'ctx.set(' } })
    const refused = publishDraft(database.db, actor, { message: 'broken', base: 1 }, RULES)
    await expect(refused).rejects.toMatchObject({
      status: 422,
      details: { findings: [{ rule: 'compile', plugin: 'cors', line: 1 }] },
    })
    expect((await live()).general.version).toBe(1)
  })

  test('refuses to publish over what the publisher has not seen, and nothing', async () => {
    await addCors()
    await publishDraft(database.db, actor, { message: 'cors', base: 0 }, RULES)
    await expect(publishDraft(database.db, actor, { message: 'again', base: 0 }, RULES)).rejects.toThrow(
      'version 1 was',
    )
    await expect(publishDraft(database.db, actor, { message: 'again', base: 1 }, RULES)).rejects.toThrow('nothing is')
  })

  test('of two who publish at once one is refused', async () => {
    await addCors()
    const both = await Promise.allSettled(
      ['a', 'b'].map((message) => publishDraft(database.db, actor, { message, base: 0 }, RULES)),
    )
    expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
  })

  test('where two persons are needed, one proposes and another publishes just that', async () => {
    const rules = { ...RULES, two_persons: true }
    const plugin = await addCors()
    const id = await proposeDraft(database.db, actor, { message: 'cors', base: 0 }, rules)
    await savePlugin(database.db, actor, plugin.id, 1, { ...CORS, fields: { code: 'later()' } })
    await expect(approveProposal(database.db, actor, id, rules)).rejects.toThrow('your own proposal')
    expect(await live()).toBe(null)
    const secret = await inviteAccount(database.db, actor, 'publisher')
    const { id: account_id, name, role } = await acceptInvitation(database.db, secret, 'bob', 'a long enough one')
    const bob = { account_id, name, role, csrf: undefined }
    expect(await compareProposal(database.db, id)).toContainEqual(
      expect.objectContaining({ kind: 'added', plugin: 'cors' }),
    )
    await approveProposal(database.db, bob, id, rules)
    expect(await live()).toMatchObject({ general: { version: 1 }, domains: [{ plugins: [CORS.fields] }] })
    await expect(approveProposal(database.db, bob, id, rules)).rejects.toThrow('decided on already')
    expect(await listProposals(database.db)).toEqual([])
  })

  test('two who save one plugin: the second learns what is there now', async () => {
    const plugin = await addCors()
    const save = (code: string) => savePlugin(database.db, actor, plugin.id, 1, { ...CORS, fields: { code } })
    await save('first')
    await expect(save('second')).rejects.toMatchObject({
      status: 409,
      details: { current: { revision: 2, fields: { code: 'first' } } },
    })
  })

  test.each([
    [{}, (document: { general: { status?: string } }) => document.general.status === 'disabled'],
    [
      { domain: '^shop' },
      (document: { domains: { plugins: { enabled?: boolean }[] }[] }) =>
        document.domains[0]?.plugins[0]?.enabled === false,
    ],
    [
      { domain: '^shop', plugin: 'cors' },
      (document: { domains: { plugins: { enabled?: boolean }[] }[] }) =>
        document.domains[0]?.plugins[0]?.enabled === false,
    ],
  ])('switches %j off without the rest of the draft, and on again', async (what, isOff) => {
    await addCors()
    await publishDraft(database.db, actor, { message: 'cors', base: 0 }, RULES)
    await addDomain(database.db, actor, 'later')
    await throwSwitch(database.db, actor, { ...what, on: false }, RULES)
    expect(isOff(await live())).toBe(true)
    expect((await live()).domains).toHaveLength(1)
    await publishDraft(database.db, actor, { message: 'later', base: 2 }, RULES)
    expect(isOff(await live())).toBe(true)
    await throwSwitch(database.db, actor, { ...what, on: true }, RULES)
    expect(isOff(await live())).toBe(false)
    expect((await listPlugins(database.db, { limit: 10 }))[0]?.fields).toEqual(CORS.fields)
  })
})
