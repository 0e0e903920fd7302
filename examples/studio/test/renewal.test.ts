import { exportJWK, generateKeyPair } from 'jose'
import { sql } from 'kysely'
import { afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import type { Actor } from '../server/auth/actor.ts'
import { acceptInvitation } from '../server/auth/joining.ts'
import { inviteFirst } from '../server/auth/links.ts'
import { addDomain } from '../server/changes/domains.ts'
import { addPlugin } from '../server/changes/plugins.ts'
import { createWorkspace } from '../server/changes/workspace.ts'
import { createDocuments } from '../server/publishing/documents.ts'
import type { Press } from '../server/publishing/press.ts'
import { publishSet } from '../server/publishing/publish-set.ts'
import { renewIfDue, repeat } from '../server/publishing/renewal.ts'
import { findLatest } from '../server/publishing/versions.ts'
import { createReviewer, type Reviewer } from '../server/review/reviewer.ts'
import type { Database } from '../server/store/database.ts'
import { databases } from './databases.ts'
import { WARM_THREADS } from './warm-threads.ts'

const DAY_MS = 24 * 3_600_000
let key: Press['rules']['key']
beforeAll(async () => {
  const { privateKey } = await generateKeyPair('EdDSA', { extractable: true })
  key = { ...(await exportJWK(privateKey)), alg: 'EdDSA', kid: 'test' } as never
})

describe.each(databases)('a signed version on $name', ({ open }) => {
  let database: Database
  let actor: Actor
  let reviewer: Reviewer
  let set: number
  const publish = (press: Press) => publishSet(press, actor, set, 'p', { base: 0, revision: 2 })
  const pressWith = (signing: Press['rules']['key']): Press => {
    const { db } = database
    const documents = createDocuments(db)
    const workspace = createWorkspace(db, documents, reviewer)
    return { db, rules: { key: signing, two_persons: true }, documents, workspace, reviewer }
  }
  beforeEach(async () => {
    database = await open()
    reviewer = createReviewer([], WARM_THREADS)
    const secret = (await inviteFirst(database.db, false)) as string
    const { id, name, role } = await acceptInvitation(
      database.db,
      secret,
      { name: 'ada', password: 'a long enough one' },
      { two_persons: false },
    )
    actor = { account_id: id, name, role, csrf: undefined }
    const press = pressWith(undefined)
    set = (await addDomain(press, actor, { name: 'p' }, 'a.example')).set
    await addPlugin(press, actor, set, 'a.example', { name: 'p', phase: 'access', fields: { code: 'exit(403)' } })
  })
  afterEach(async () => {
    await reviewer.close()
    await database.close()
  })

  test('is signed anew well before its end, by one of several studios, and is the same but for that', async () => {
    const [one, other] = [pressWith(key), pressWith(key)]
    expect(await renewIfDue(one, Date.now() + 99 * DAY_MS)).toBeUndefined()
    await publish(one)
    const before = JSON.parse((await findLatest(database.db))?.document as string)
    expect(await renewIfDue(one, Date.now() + 19 * DAY_MS)).toBeUndefined()
    // Not a later `now`: by that, what one of the two signs anew would be due for the other that looks after it.
    await sql`alter table version disable trigger version_append_only`.execute(database.db)
    await database.db
      .updateTable('version')
      .set({ created_at: new Date(Date.now() - 21 * DAY_MS) as never })
      .execute()
    await sql`alter table version enable trigger version_append_only`.execute(database.db)
    const made = await Promise.all([renewIfDue(one, Date.now()), renewIfDue(other, Date.now())])
    expect(made.filter((version) => version !== undefined)).toMatchObject([
      { version: 2, kind: 'renew', created_by: null },
    ])
    const { document, signed } = (await findLatest(database.db)) as { document: string; signed: string }
    const expires = expect.any(String)
    expect(JSON.parse(document)).toEqual({ ...before, general: { version: 2, expires } })
    expect(JSON.parse(document).general.expires >= before.general.expires).toBe(true)
    expect(Buffer.from(JSON.parse(signed).payload, 'base64url').toString()).toBe(document)
  })

  test('comes of one that was published before there was a key', async () => {
    await publish(pressWith(undefined))
    expect(await renewIfDue(pressWith(undefined), Date.now() + 99 * DAY_MS)).toBeUndefined()
    expect(await renewIfDue(pressWith(key), Date.now())).toMatchObject({
      version: 2,
      message: 'signed, as it was not yet',
    })
    expect(await renewIfDue(pressWith(key), Date.now())).toBeUndefined()
  })
})

describe('what is done again and again', () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())

  test('is done at once, goes on after a failure, and ends', async () => {
    const task = vi.fn().mockRejectedValueOnce(new Error('no')).mockResolvedValue(undefined)
    const failed = vi.fn()
    const end = repeat(task, failed, 1000)
    expect(task).toHaveBeenCalledTimes(1)
    await vi.advanceTimersByTimeAsync(1000)
    expect(failed).toHaveBeenCalledTimes(1)
    expect(task).toHaveBeenCalledTimes(2)
    await vi.advanceTimersByTimeAsync(10_000)
    expect(task.mock.calls.length).toBeGreaterThanOrEqual(12)
    end()
    const calls = task.mock.calls.length
    await vi.advanceTimersByTimeAsync(10_000)
    expect(task).toHaveBeenCalledTimes(calls)
  })

  test('begins no pause when it is ended while it runs', async () => {
    let done: () => void = () => undefined
    const task = vi.fn(() => new Promise<void>((resolve) => (done = resolve)))
    const end = repeat(task, vi.fn(), 1000)
    end()
    done()
    await vi.advanceTimersByTimeAsync(10_000)
    expect(task).toHaveBeenCalledTimes(1)
  })
})
