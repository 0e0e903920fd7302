import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Actor } from '../server/auth/actor.ts'
import { acceptInvitation } from '../server/auth/joining.ts'
import { inviteAccount, inviteFirst } from '../server/auth/links.ts'
import { createDocuments } from '../server/publishing/documents.ts'
import type { Press } from '../server/publishing/press.ts'
import { approveProposal, compareProposal, listProposals, proposeDraft } from '../server/publishing/proposals.ts'
import { publishDraft, rollBack } from '../server/publishing/publish-draft.ts'
import { throwSwitch } from '../server/publishing/switches.ts'
import { findLatest } from '../server/publishing/versions.ts'
import { createReviewer, type Reviewer } from '../server/review/reviewer.ts'
import type { Database } from '../server/store/database.ts'
import { addDomain } from '../server/store/domains.ts'
import { addPlugin, listPlugins, savePlugin } from '../server/store/plugins.ts'
import { databases } from './databases.ts'

const RULES = { key: undefined, two_persons: false }
const CORS = { name: 'cors', phase: 'header_filter', fields: { code: "ctx.set('Access-Control-Allow-Origin', '*')" } }

describe.each(databases)('publishing on $name', ({ open }) => {
  let database: Database
  let actor: Actor
  let reviewer: Reviewer
  let press: Press
  beforeAll(() => {
    reviewer = createReviewer([])
  })
  afterAll(() => reviewer.close())
  beforeEach(async () => {
    database = await open()
    const { db } = database
    press = { db, rules: RULES, documents: createDocuments(db, reviewer), reviewer }
    const secret = (await inviteFirst(database.db, false)) as string
    const { id, name, role } = await acceptInvitation(
      database.db,
      secret,
      { name: 'ada', password: 'a long enough one' },
      { two_persons: false },
    )
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
    await publishDraft(press, actor, { message: 'cors', base: 0 })
    expect(await live()).toEqual({
      general: { version: 1 },
      domains: [{ name: '^shop', plugins: [{ name: 'cors', phase: 'header_filter', ...CORS.fields }] }],
    })
    await savePlugin(database.db, actor, plugin.id, plugin.revision, { ...CORS, fields: { code: "ctx.set('a', 'b')" } })
    await publishDraft(press, actor, { message: 'other', base: 1 })
    expect((await live()).general).toEqual({ version: 2 })
    await rollBack(press, actor, 1)
    expect(await live()).toMatchObject({ general: { version: 3 }, domains: [{ plugins: [CORS.fields] }] })
  })

  test('refuses what does not compile, and leaves what is live', async () => {
    const plugin = await addCors()
    await publishDraft(press, actor, { message: 'cors', base: 0 })
    await savePlugin(database.db, actor, plugin.id, 1, { ...CORS, fields: { code: 'ctx.set(' } })
    const refused = publishDraft(press, actor, { message: 'broken', base: 1 })
    await expect(refused).rejects.toMatchObject({
      status: 422,
      details: { findings: [{ rule: 'compile', plugin: 'cors', line: 1 }] },
    })
    expect((await live()).general.version).toBe(1)
  })

  test('refuses to publish over what the publisher has not seen, and nothing', async () => {
    await addCors()
    await publishDraft(press, actor, { message: 'cors', base: 0 })
    await expect(publishDraft(press, actor, { message: 'again', base: 0 })).rejects.toThrow('version 1 was')
    await expect(publishDraft(press, actor, { message: 'again', base: 1 })).rejects.toThrow('nothing to publish')
  })

  test('refuses a draft that is not the one that was looked at', async () => {
    await addCors()
    const { revision } = await press.documents.draft()
    await addDomain(database.db, actor, 'later')
    const late = publishDraft(press, actor, { message: 'cors', base: 0, revision })
    await expect(late).rejects.toMatchObject({ status: 409, details: { current: { revision: revision + 1 } } })
    const { revision: newest, name } = await press.documents.review()
    expect(name).toBe(`0/${newest}`)
    await publishDraft(press, actor, { message: 'cors', base: 0, revision: newest })
    expect((await live()).domains).toHaveLength(2)
  })

  test('reviews the draft once for all who ask, and again for who asks for more of a review that others pushed out', async () => {
    const plugin = await addCors()
    const { documents } = press
    const [one, other] = await Promise.all([documents.review(), documents.review()])
    expect(other).toBe(one)
    expect((await documents.listDifferences(1)).items).toHaveLength(one.differences.total - 1)
    for (let at = 0; at < 5; at += 1) await reviewer.review(`other ${at}`, '{"domains":[]}', '{"domains":[]}')
    expect(await documents.listDifferences(0)).toEqual(one.differences)
    expect(await documents.listFindings(0)).toEqual(one.findings)
    await savePlugin(database.db, actor, plugin.id, 1, { ...CORS, fields: { code: 'exit(' } })
    expect((await documents.review()).errors).toBe(1)
  })

  test('switches off though somebody publishes meanwhile', async () => {
    await addCors()
    await publishDraft(press, actor, { message: 'cors', base: 0 })
    await addDomain(database.db, actor, 'later')
    const both = [
      throwSwitch(press, actor, { domain: '^shop', on: false }),
      publishDraft(press, actor, { message: 'later', base: 1 }),
    ]
    const [switched] = await Promise.allSettled(both)
    expect(switched?.status).toBe('fulfilled')
    expect((await live()).domains[0].plugins).toMatchObject([{ enabled: false }])
  })

  test('switches off what a rule that came later would refuse', async () => {
    const document = JSON.stringify({
      general: { version: 1 },
      domains: [{ name: 'a', plugins: [{ name: 'x', phase: 'log', code: '(' }] }],
    })
    const version = { version: 1, kind: 'publish', message: 'old', document, signed: null, created_by: null } as const
    await database.db.insertInto('version').values(version).execute()
    await throwSwitch(press, actor, { domain: 'a', on: false })
    expect(await live()).toMatchObject({ general: { version: 2 }, domains: [{ plugins: [{ enabled: false }] }] })
    await expect(throwSwitch(press, actor, { domain: 'a', on: false })).rejects.toThrow('is already switched off')
  })

  test('of two who publish at once one is refused', async () => {
    await addCors()
    const both = await Promise.allSettled(['a', 'b'].map((message) => publishDraft(press, actor, { message, base: 0 })))
    expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
  })

  test('where two persons are needed, one proposes and another publishes just that', async () => {
    const plugin = await addCors()
    const id = await proposeDraft(press, actor, { message: 'cors', base: 0 })
    await savePlugin(database.db, actor, plugin.id, 1, { ...CORS, fields: { code: 'later()' } })
    await expect(approveProposal(press, actor, id)).rejects.toThrow('your own proposal')
    expect(await live()).toBe(null)
    const secret = await inviteAccount(database.db, actor, 'publisher')
    const {
      id: account_id,
      name,
      role,
    } = await acceptInvitation(
      database.db,
      secret,
      { name: 'bob', password: 'a long enough one' },
      { two_persons: false },
    )
    const bob = { account_id, name, role, csrf: undefined }
    expect((await compareProposal(press, id)).items).toContainEqual(
      expect.objectContaining({ kind: 'added', plugin: 'cors' }),
    )
    await approveProposal(press, bob, id)
    expect(await live()).toMatchObject({ general: { version: 1 }, domains: [{ plugins: [CORS.fields] }] })
    await expect(approveProposal(press, bob, id)).rejects.toThrow('already decided')
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
    await publishDraft(press, actor, { message: 'cors', base: 0 })
    await addDomain(database.db, actor, 'later')
    await throwSwitch(press, actor, { ...what, on: false })
    expect(isOff(await live())).toBe(true)
    expect((await live()).domains).toHaveLength(1)
    await publishDraft(press, actor, { message: 'later', base: 2 })
    expect(isOff(await live())).toBe(true)
    await throwSwitch(press, actor, { ...what, on: true })
    expect(isOff(await live())).toBe(false)
    expect((await listPlugins(database.db, { limit: 10 }))[0]?.fields).toEqual(CORS.fields)
  })
})
