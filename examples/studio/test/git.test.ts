import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { sql } from 'kysely'
import { describe, expect, onTestFinished, test } from 'vitest'
import { acceptInvitation } from '../server/auth/joining.ts'
import { inviteFirst } from '../server/auth/links.ts'
import { addDomain } from '../server/changes/domains.ts'
import { addPlugin } from '../server/changes/plugins.ts'
import { createWorkspace } from '../server/changes/workspace.ts'
import { createFollower } from '../server/git/follow.ts'
import { createLedger } from '../server/git/ledger.ts'
import { openWorkingCopy } from '../server/git/working-copy.ts'
import { createDocuments } from '../server/publishing/documents.ts'
import { publishSet } from '../server/publishing/publish-set.ts'
import { findLatest } from '../server/publishing/versions.ts'
import { createReviewer } from '../server/review/reviewer.ts'
import { startStudio } from '../server/studio.ts'
import { beginSet, type WorkingSet } from './change-sets.ts'
import { databases, IN_MEMORY } from './databases.ts'
import { runStudio } from './running-studio.ts'
import { WARM_THREADS } from './warm-threads.ts'

/** A repository with a remote, and somebody who works in it. @param is_begun whether there is a commit */
function createRepository(is_begun = true) {
  const root = mkdtempSync(join(tmpdir(), 'studio-git-test-'))
  onTestFinished(() => rmSync(root, { recursive: true, force: true }))
  const [remote, work] = [join(root, 'remote.git'), join(root, 'work')]
  const folder = join(work, 'plugins')
  const run = (cwd: string, ...args: string[]) =>
    execFileSync('git', args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).trim()
  run(root, 'init', '--quiet', '--bare', '--initial-branch=main', remote)
  run(root, 'clone', '--quiet', remote, work)
  mkdirSync(folder)
  const git = (...args: string[]) => run(folder, '-c', 'user.name=Carol', '-c', 'user.email=carol@localhost', ...args)
  const write = (files: Record<string, string>) => {
    for (const [name, content] of Object.entries(files)) {
      mkdirSync(dirname(join(folder, name)), { recursive: true })
      writeFileSync(join(folder, name), content)
    }
  }
  const commit = (message: string, files: Record<string, string>) => {
    write(files)
    git('add', '--all')
    git('commit', '--quiet', '-m', message)
  }
  if (is_begun) {
    commit('begin', { 'NOTES.md': 'ours' })
    git('checkout', '--quiet', '-B', 'main')
    git('push', '--quiet', '-u', 'origin', 'main')
  }
  const read = (name: string) => readFileSync(join(folder, name), 'utf8')
  return { root, remote, folder, git, write, commit, read, manifest: () => JSON.parse(read('dynacode.json')) }
}

interface Served {
  readonly general: { readonly version: number }
  readonly domains: [{ readonly plugins: { readonly code: string }[] }]
}
const manifestOf = (...plugins: object[]) =>
  `${JSON.stringify({ domains: [{ name: 'a.example', plugins }] }, undefined, 2)}\n`
const named = (name: string, file: string) => ({ name, phase: 'access', file })

describe.each(databases)('a folder in git as the truth, on $name', ({ options }) => {
  async function start(push = false, is_begun = true) {
    const repository = createRepository(is_begun)
    const running = await runStudio({ database: await options(), git: { folder: repository.folder, push } })
    onTestFinished(() => running.close())
    const { ada, address, failures } = running
    const served = async () => (await (await fetch(`${address}/plugins.json`)).json()) as Served
    const sync = async () => (await ada.send('post', '/api/git/sync', {}).expect(200)).body
    let set: WorkingSet | undefined
    /** The change set that is worked in: a new one once it was published. */
    const working = async () => {
      set ??= await beginSet(ada)
      return set
    }
    const publish = async (message: string) => {
      const answer = await (await working()).publish(message)
      if (answer.status === 201) set = undefined
      return answer
    }
    const addPlugin = async (name: string, code: string) => {
      const { addDomain, add, id } = await working()
      const known = (await ada.get(`/api/domains?set=${id}`)).body
      if (known.length === 0) await addDomain('a.example').expect(201)
      await add('a.example', { name, phase: 'access', fields: { code } }).expect(201)
    }
    const save = async (name: string, code: string) =>
      (await working()).save('a.example', { name, phase: 'access', fields: { code } })
    const list = async () =>
      (await ada.get(`/api/export?set=${(await working()).id}`)).body.domains[0].plugins.map(
        ({ name, code }: { name: string; code: string }) => [name, code],
      )
    return { ...repository, ada, failures, served, sync, publish, addPlugin, save, list }
  }

  test('has a commit for every version, by who published it, and keeps what else is there', async () => {
    const { addPlugin, publish, git, read, manifest, save, served, failures } = await start()
    await addPlugin('block', 'exit(403)')
    await addPlugin('../../escape', 'exit(404)')
    expect((await publish('block them\n\nall')).body).toEqual({ version: 1 })
    expect(git('log', '-1', '--format=%an|%s|%b')).toBe('Ada|block them|all')
    expect(git('status', '--porcelain')).toBe('')
    expect(read('NOTES.md')).toBe('ours')
    expect(read('block.js')).toBe('exit(403)')
    expect(manifest().domains[0].plugins).toEqual([named('block', 'block.js'), named('../../escape', 'escape.js')])
    expect(manifest().general).toEqual({})
    expect((await save('block', 'exit(401)')).status).toBe(200)
    expect((await publish('401')).body).toEqual({ version: 2 })
    expect(git('show', '--format=', '--name-only', 'HEAD')).toBe('plugins/block.js')
    expect((await served()).general.version).toBe(2)
    expect(failures).toEqual([])
  })

  test('may be without a commit: the first version is the first one', async () => {
    const { addPlugin, publish, sync, git, read, failures } = await start(false, false)
    expect(await sync()).toMatchObject({ commit: null, version: null, problem: null, dirty: [] })
    await addPlugin('block', 'exit(403)')
    expect((await publish('block')).body).toEqual({ version: 1 })
    expect(git('log', '--format=%an|%s')).toBe('Ada|block')
    expect(git('status', '--porcelain')).toBe('')
    expect(read('block.js')).toBe('exit(403)')
    expect(await sync()).toMatchObject({ version: 1, problem: null })
    await addPlugin('more', 'exit(404)')
    expect((await publish('more')).body).toEqual({ version: 2 })
    expect(git('log', '--format=%s')).toBe('more\nblock')
    expect(failures).toEqual([])
  })

  test('is published when somebody commits there, and takes nothing from what is open', async () => {
    const { addPlugin, publish, commit, sync, served, ada, save, list, git, read, failures } = await start()
    await addPlugin('block', 'exit(403)')
    await addPlugin('mine', 'exit(404)')
    expect((await publish('first')).body).toEqual({ version: 1 })
    expect((await save('mine', 'exit(410)')).status).toBe(200)
    await addPlugin('unfinished', 'exit(')
    const plugins = [named('typed', 'src/typed.ts'), named('block', 'block.js'), named('mine', 'mine.js')]
    commit('from an editor', {
      'src/typed.ts': 'const status: number = 418\nexit(status)',
      'block.js': 'exit(451)',
      'dynacode.json': manifestOf(...plugins),
    })
    const state = await sync()
    expect(state).toMatchObject({ version: 2, problem: null, commit: git('rev-parse', 'HEAD'), dirty: [] })
    const codes = (await served()).domains[0].plugins.map(({ code }: { code: string }) => code)
    expect(codes).toEqual(['const status         = 418\nexit(status)', 'exit(451)', 'exit(404)'])
    expect((await ada.get('/api/versions')).body[0]).toMatchObject({ kind: 'import', message: 'from an editor' })
    expect((await list()).slice(1)).toEqual([
      ['block', 'exit(451)'],
      ['mine', 'exit(410)'],
      ['unfinished', 'exit('],
    ])
    // What is published from here leaves the file with types as it is.
    expect((await save('unfinished', 'exit(200)')).status).toBe(200)
    expect((await publish('finished')).body).toEqual({ version: 3 })
    expect(read('src/typed.ts')).toContain(': number')
    expect(git('show', '--format=', '--name-only', 'HEAD').split('\n').sort()).toEqual([
      'plugins/dynacode.json',
      'plugins/mine.js',
      'plugins/unfinished.js',
    ])
    expect(failures).toEqual([])
  })

  test('keeps a commit that fails the check from going live, and the studio from publishing over it', async () => {
    const { addPlugin, publish, commit, sync, served, failures } = await start()
    await addPlugin('block', 'exit(403)')
    expect((await publish('first')).body).toEqual({ version: 1 })
    commit('broken', { 'block.js': 'exit(' })
    expect(await sync()).toMatchObject({
      version: 1,
      problem: '1 error prevents publishing',
      findings: [{ rule: 'compile', plugin: 'block' }],
    })
    await addPlugin('other', 'exit(404)')
    expect((await publish('other')).body).toMatchObject({
      status: 409,
      title: expect.stringContaining('has a commit that is not live'),
    })
    commit('nonsense', { 'dynacode.json': '{' })
    expect((await sync()).problem).toContain('dynacode.json:1:2')
    commit('gone', { 'dynacode.json': manifestOf(named('block', 'none.js')) })
    expect((await sync()).problem).toContain('there is no file')
    expect((await served()).general.version).toBe(1)
    commit('mended', { 'block.js': 'exit(451)', 'dynacode.json': manifestOf(named('block', 'block.js')) })
    expect(await sync()).toMatchObject({ version: 2, problem: null, findings: [] })
    expect((await publish('other')).body).toEqual({ version: 3 })
    expect(failures).toEqual([])
  })

  test('never loses what was not committed; what is to be switched off is switched off all the same', async () => {
    const { addPlugin, publish, write, sync, served, ada, read, commit, git, failures } = await start()
    await addPlugin('block', 'exit(403)')
    expect((await publish('first')).body).toEqual({ version: 1 })
    const mine = 'exit(402)'
    write({ 'block.js': 'exit(500) // not done', 'new.js': mine })
    await addPlugin('other', 'exit(404)')
    expect((await publish('other')).body).toMatchObject({
      status: 409,
      title: expect.stringMatching(/uncommitted changes: .*block\.js.*new\.js/),
    })
    expect((await ada.get('/api/git')).body).toMatchObject({ dirty: ['plugins/block.js', 'plugins/new.js'] })
    // It touches the manifest alone, which nobody is working at: so it can be committed.
    await ada.send('post', '/api/switch', { domain: 'a.example', plugin: 'block', on: false }).expect(201)
    expect(git('show', '--format=%s', '--name-only', 'HEAD').split('\n')).toEqual([
      'a.example/block is switched off',
      '',
      'plugins/dynacode.json',
    ])
    expect([read('block.js'), read('new.js')]).toEqual(['exit(500) // not done', mine])
    // Now the manifest is being worked at.
    write({ 'dynacode.json': read('dynacode.json').replace('block.js', 'new.js') })
    await ada.send('post', '/api/switch', { domain: 'a.example', on: true }).expect(201)
    expect((await served()).general.version).toBe(3)
    expect(await sync()).toMatchObject({ version: 2 })
    commit('without it', {})
    expect((await sync()).problem).toContain('lacks changes of version 3')
    expect((await served()).general.version).toBe(3)
    const { body } = await ada.send('post', '/api/git/take', {}).expect(200)
    expect(body).toMatchObject({ version: 4, problem: null })
    expect((await served()).domains[0].plugins).toMatchObject([{ code: mine, enabled: false }])
    expect(failures).toEqual([])
  })

  test('makes up for what could not be committed', async () => {
    const { addPlugin, publish, write, git, ada, sync, manifest, failures } = await start()
    await addPlugin('block', 'exit(403)')
    expect((await publish('first')).body).toEqual({ version: 1 })
    write({ 'dynacode.json': '{}' })
    await ada.send('post', '/api/switch', { domain: 'a.example', on: false }).expect(201)
    git('checkout', '--', '.')
    expect(await sync()).toMatchObject({ version: 2, problem: null })
    expect(manifest().domains[0].plugins).toMatchObject([{ name: 'block', enabled: false }])
    expect(failures).toEqual([])
  })

  test('pushes, and says when the remote takes nothing', async () => {
    const { addPlugin, publish, git, remote, sync, failures } = await start(true)
    await addPlugin('block', 'exit(403)')
    expect((await publish('first')).body).toEqual({ version: 1 })
    expect((await sync()).push_problem).toBe(null)
    expect(git('--git-dir', remote, 'log', '-1', '--format=%s', 'main')).toBe('first')
    rmSync(remote, { recursive: true })
    await addPlugin('other', 'exit(404)')
    const second = await publish('second')
    expect(second.body).toEqual({ version: 2 })
    expect((await sync()).push_problem).toMatch(/^git push: /)
    expect(failures).toEqual([])
  })
})

test.each(databases)('a commit whose version was lost is published by the next look, on $name', async ({ open }) => {
  const { folder, git } = createRepository()
  const database = await open()
  const { db } = database
  const reviewer = createReviewer([], WARM_THREADS)
  onTestFinished(async () => {
    await reviewer.close()
    await database.close()
  })
  const copy = await openWorkingCopy(folder)
  const documents = createDocuments(db)
  const workspace = createWorkspace(db, documents, reviewer)
  const ledger = createLedger(db, copy, reviewer)
  const press = { db, rules: { key: undefined, two_persons: false }, documents, workspace, reviewer, ledger }
  const failed = (error: unknown) => expect.unreachable(String(error))
  const follower = createFollower(press, copy, { push: false, published: async () => undefined, failed })
  await follower.sync()
  const secret = (await inviteFirst(db, false)) as string
  const {
    id: account_id,
    name,
    role,
  } = await acceptInvitation(db, secret, { name: 'ada', password: 'a long enough one' }, { two_persons: false })
  const actor = { account_id, name, role, csrf: undefined }
  const { set } = await addDomain(press, actor, { name: 'p' }, 'a.example')
  await addPlugin(press, actor, set, 'a.example', { name: 'p', phase: 'access', fields: { code: 'exit(403)' } })
  const lose = (message: string, base: number) => publishSet(press, actor, set, message, { base, revision: 2 })
  // As if the process had ended here.
  await sql`alter table git_commit add constraint lost check (version is null)`.execute(db)
  await expect(lose('lost', 0)).rejects.toThrow(/lost/)
  expect(git('log', '-1', '--format=%s')).toBe('lost')
  expect(await findLatest(db)).toBeUndefined()
  await sql`alter table git_commit drop constraint lost`.execute(db)
  await follower.sync()
  expect(await findLatest(db)).toMatchObject({ version: 1, kind: 'import', message: 'lost' })
  await expect(lose('next', 1)).rejects.toThrow('there are no changes')
})

test('says of a folder that is none of a working copy what is wrong', async () => {
  const { root } = createRepository()
  const begin = (folder: string) => startStudio({ database: IN_MEMORY, git: { folder, push: false } })
  await expect(begin(root)).rejects.toThrow(/GIT_FOLDER: expected a folder in a git working copy/)
  await expect(begin(join(root, 'none'))).rejects.toThrow(/folder does not exist/)
  expect(existsSync(join(root, 'none'))).toBe(false)
})
