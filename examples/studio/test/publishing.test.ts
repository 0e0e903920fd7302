import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Actor } from '../server/auth/actor.ts'
import { acceptInvitation } from '../server/auth/joining.ts'
import { inviteAccount, inviteFirst } from '../server/auth/links.ts'
import { addDomain } from '../server/changes/domains.ts'
import { addPlugin, savePlugin } from '../server/changes/plugins.ts'
import { createWorkspace, revisionOf } from '../server/changes/workspace.ts'
import { createDocuments } from '../server/publishing/documents.ts'
import type { Press } from '../server/publishing/press.ts'
import { approveSet, proposeSet, publishSet, rollBack } from '../server/publishing/publish-set.ts'
import { throwSwitch } from '../server/publishing/switches.ts'
import { findLatest } from '../server/publishing/versions.ts'
import { createReviewer, type Reviewer } from '../server/review/reviewer.ts'
import type { Database } from '../server/store/database.ts'
import { databases } from './databases.ts'
import { WARM_THREADS } from './warm-threads.ts'

const RULES = { key: undefined, two_persons: false }
const CORS = { name: 'cors', phase: 'header_filter', fields: { code: "ctx.set('Access-Control-Allow-Origin', '*')" } }

describe.each(databases)('publishing on $name', ({ open }) => {
  let database: Database
  let actor: Actor
  let reviewer: Reviewer
  let press: Press
  beforeAll(() => {
    reviewer = createReviewer([], WARM_THREADS)
  })
  afterAll(() => reviewer.close())
  beforeEach(async () => {
    database = await open()
    const { db } = database
    const documents = createDocuments(db)
    press = { db, rules: RULES, documents, workspace: createWorkspace(db, documents, reviewer), reviewer }
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

  /** A change set with one plugin of a domain of its own. */
  async function addCors(): Promise<number> {
    const { set } = await addDomain(press, actor, { name: 'cors' }, '^shop')
    await addPlugin(press, actor, set, '^shop', CORS)
    return set
  }
  const addLater = async (name = 'later') => (await addDomain(press, actor, { name }, name)).set
  /** Saves the plugin over what is there now. */
  async function saveCors(set: number | { name: string }, code: string): Promise<number> {
    const key = { domain: '^shop', name: 'cors', phase: 'header_filter' }
    const id = typeof set === 'number' ? set : undefined
    const { live } = (await press.workspace.ask(id, { about: 'plugin', ...key })) ?? { live: null }
    const edit = await database.db
      .selectFrom('change_edit')
      .select('revision')
      .where('set_id', '=', id ?? 0)
      .where('kind', '=', 'plugin')
      .executeTakeFirst()
    const saving = { revision: revisionOf(edit, live), resolve: false }
    return (await savePlugin(press, actor, set, key, { ...CORS, fields: { code } }, saving)).set
  }
  /** Publishes a change set as it is against what is live. */
  async function publish(set: number, message = 'p') {
    const { base, revision } = await press.workspace.review(set)
    return publishSet(press, actor, set, message, { base, revision })
  }
  const live = async () => JSON.parse((await findLatest(database.db))?.document ?? 'null')

  test('makes versions that only grow, of what is live with a change set in it', async () => {
    await publish(await addCors())
    expect(await live()).toEqual({
      general: { version: 1 },
      domains: [{ name: '^shop', plugins: [{ name: 'cors', phase: 'header_filter', ...CORS.fields }] }],
    })
    await publish(await saveCors({ name: 'other' }, "ctx.set('a', 'b')"))
    expect((await live()).general).toEqual({ version: 2 })
    await rollBack(press, actor, 1)
    expect(await live()).toMatchObject({ general: { version: 3 }, domains: [{ plugins: [CORS.fields] }] })
  })

  test('refuses what does not compile, and leaves what is live', async () => {
    await publish(await addCors())
    const set = await saveCors({ name: 'broken' }, 'ctx.set(')
    await expect(publish(set)).rejects.toMatchObject({
      status: 422,
      details: { findings: [{ rule: 'compile', plugin: 'cors', line: 1 }] },
    })
    expect((await live()).general.version).toBe(1)
  })

  test('refuses to publish over what the publisher has not seen, twice, and nothing', async () => {
    const [set, later] = [await addCors(), await addLater()]
    const seen = { base: 0, revision: 2 }
    await publishSet(press, actor, set, 'cors', seen)
    await expect(publishSet(press, actor, later, 'later', { base: 0, revision: 1 })).rejects.toThrow('version 1 was')
    await expect(publishSet(press, actor, set, 'again', { ...seen, base: 1 })).rejects.toThrow(/already published/)
    const none = await saveCors({ name: 'none' }, CORS.fields.code)
    await expect(publish(none)).rejects.toThrow('there are no changes')
    await expect(publish(99)).rejects.toThrow('there is no such change set')
  })

  test('refuses a change set that is not the one that was looked at', async () => {
    const set = await addCors()
    const { revision } = await press.workspace.review(set)
    await addDomain(press, actor, set, 'more')
    const late = publishSet(press, actor, set, 'cors', { base: 0, revision })
    await expect(late).rejects.toMatchObject({ status: 409, details: { current: { revision: revision + 1 } } })
    await publish(set)
    expect((await live()).domains).toHaveLength(2)
  })

  test('reviews a change set once for all who ask, and again for who asks for more of a review that others pushed out', async () => {
    const set = await addCors()
    const { workspace } = press
    const [one, other] = await Promise.all([workspace.review(set), workspace.review(set)])
    expect(other).toBe(one)
    expect((await workspace.listDifferences(set, 1)).items).toHaveLength(one.differences.total - 1)
    for (let at = 0; at < 5; at += 1) await reviewer.review(`other ${at}`, '{"domains":[]}', '{"domains":[]}')
    expect(await workspace.listDifferences(set, 0)).toEqual(one.differences)
    expect(await workspace.listFindings(set, 0)).toEqual(one.findings)
    await saveCors(set, 'exit(')
    expect((await workspace.review(set)).errors).toBe(1)
  })

  test('switches off though somebody publishes meanwhile', async () => {
    await publish(await addCors())
    const later = await addLater()
    const both = [throwSwitch(press, actor, { domain: '^shop', on: false }), publish(later)]
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
    const sets = [await addCors(), await addLater()]
    const both = await Promise.allSettled(
      sets.map((set, at) => publishSet(press, actor, set, 'p', { base: 0, revision: at === 0 ? 2 : 1 })),
    )
    expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
  })

  test('where two persons are needed, one proposes and another publishes just that', async () => {
    const set = await addCors()
    const seen = { base: 0, revision: 2 }
    await proposeSet(press, actor, set, 'cors', seen)
    await expect(approveSet(press, actor, set, seen)).rejects.toThrow('your own proposal')
    expect(await live()).toBe(null)
    const secret = await inviteAccount(database.db, actor, 'publisher')
    const joined = { name: 'bob', password: 'a long enough one' }
    const { id: account_id, name, role } = await acceptInvitation(database.db, secret, joined, { two_persons: false })
    const bob = { account_id, name, role, csrf: undefined }
    await saveCors(set, 'later()')
    await expect(approveSet(press, bob, set, seen)).rejects.toThrow('changed after it was proposed')
    await saveCors(set, CORS.fields.code)
    await proposeSet(press, actor, set, 'cors', { base: 0, revision: 4 })
    await approveSet(press, bob, set, { base: 0, revision: 4 })
    expect(await live()).toMatchObject({ general: { version: 1 }, domains: [{ plugins: [CORS.fields] }] })
    await expect(approveSet(press, bob, set, { base: 1, revision: 4 })).rejects.toThrow('already decided')
  })

  test('nothing of what was published is there when a change set was changed in the very last moment', async () => {
    const set = await addCors()
    const { reviewer } = press
    const late: Press = {
      ...press,
      reviewer: {
        ...reviewer,
        // After everything was looked at, and before the transaction.
        async findChangedPlugins(before, after) {
          await saveCors(set, 'later()')
          return reviewer.findChangedPlugins(before, after)
        },
      },
    }
    const publishing = publishSet(late, actor, set, 'cors', { base: 0, revision: 2 })
    await expect(publishing).rejects.toThrow(/changed or closed just now/)
    expect(await live()).toBe(null)
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
  ])('switches %j off without what is open, and on again', async (what, isOff) => {
    await publish(await addCors())
    const later = await addLater()
    await throwSwitch(press, actor, { ...what, on: false })
    expect(isOff(await live())).toBe(true)
    expect((await live()).domains).toHaveLength(1)
    await publish(later)
    expect(isOff(await live())).toBe(true)
    await throwSwitch(press, actor, { ...what, on: true })
    expect(isOff(await live())).toBe(false)
    expect((await live()).domains[0].plugins[0]).toMatchObject(CORS.fields)
  })
})
