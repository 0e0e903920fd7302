import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { beginSet, importSet, openSet } from './change-sets.ts'
import { databases } from './databases.ts'
import { type RunningStudio, runStudio, type Visitor } from './running-studio.ts'
import { createVisitor } from './visitors.ts'

const plugin = (name: string, fields: object = { code: '1' }) => ({ name, phase: 'log', fields })
const key = (name: string, domain = 'one') => ({ domain, name, phase: 'log' })

describe.each(databases)('change sets on $name', ({ options }) => {
  let running: RunningStudio
  let ada: Visitor
  let bob: Visitor
  beforeAll(async () => {
    running = await runStudio({ database: await options() })
    ada = running.ada
    const { body } = await ada.send('post', '/api/invitations', { role: 'author' }).expect(201)
    bob = createVisitor(() => running.server)
    await bob.sign('/api/accounts', { invitation: body.secret, name: 'Bob', password: 'correct horse battery' })
  })
  afterAll(() => running.close())
  afterEach(() => expect(running.failures).toEqual([]))

  const names = async (path: string) => (await ada.get(path).expect(200)).body.map(({ name }: { name: string }) => name)
  const version = async () => (await ada.get('/api/live').expect(200)).body.version
  /** What every test begins with: one domain with three plugins, live. */
  beforeEach(async () => {
    const plugins = ['a', 'b', 'c'].map((name) => ({ name, phase: 'log', code: '1' }))
    const domains = [{ name: 'one', plugins }]
    const answer = await ada.send('post', '/api/import', { document: { general: {}, domains } })
    if (answer.status === 409) return
    expect((await openSet(ada, answer.body.set).publish('begin')).status).toBe(201)
  })

  test('a colleague’s syntax error stops nobody from publishing', async () => {
    const [broken, block] = [await beginSet(bob, 'half written'), await beginSet(ada, 'block')]
    expect((await broken.save('one', plugin('a', { code: 'exit(' }))).status).toBe(200)
    await block.add('one', plugin('block', { code: 'exit(403)' })).expect(201)
    expect((await broken.review()).errors).toBe(1)
    const before = await version()
    expect((await block.publish('block')).body).toEqual({ version: before + 1 })
    const { body: served } = await ada.get('/plugins.json').expect(200)
    expect(served.domains[0].plugins.map(({ code }: { code: string }) => code)).toEqual(['1', '1', '1', 'exit(403)'])
    // And the other one is still what it was: one change, against what is live now.
    expect(await broken.review()).toMatchObject({ base: before + 1, errors: 1, differences_total: 1, conflicts: 0 })
    expect((await bob.get('/api/sets')).body).toMatchObject([{ name: 'half written', created_by: 'Bob', edits: 1 }])
    await bob.delete(broken.path).expect(204)
  })

  test('all that has expired is removed at once, in a change set; what was changed there meanwhile stays', async () => {
    const [past, future] = ['2020-01-01T00:00:00Z', '2999-01-01T00:00:00Z']
    const set = await beginSet(bob, 'times')
    await set.save('one', plugin('a', { code: '1', expires_at: past }))
    await set.save('one', plugin('b', { code: '1', expires_at: future }))
    await set.add('one', plugin('new', { code: '1', expires_at: past })).expect(201)
    const expired = (of = '') => ada.get(`/api/expired${of}`).then(({ body }) => body)
    expect(await expired()).toEqual({ total: 0, last_at: null })
    expect(await expired(`?set=${set.id}`)).toEqual({ total: 2, last_at: '2020-01-01T00:00:00.000Z' })
    await ada.delete('/api/sets/new/plugins/expired').expect(409)
    const { body } = await bob.delete(`${set.path}/plugins/expired`).expect(200)
    expect(body).toEqual({ set: set.id, removed: 2 })
    expect(await expired(`?set=${set.id}`)).toEqual({ total: 0, last_at: null })
    // The one that was never live leaves nothing behind.
    const { changes } = await set.review()
    expect(changes.map(({ name, change }: { name: string; change: string }) => [name, change])).toEqual([
      ['a', 'removed'],
      ['b', 'changed'],
    ])
    await bob.delete(set.path).expect(204)
  })

  test('an edit begins a change set by itself, named after what it changes', async () => {
    const { body: seen } = await ada.get('/api/plugin').query(key('a')).expect(200)
    const given = { key: key('a'), plugin: plugin('a', { code: '2' }), revision: seen.revision }
    const { body } = await ada.send('put', '/api/sets/new/plugins', given).expect(200)
    expect((await ada.get(`/api/sets/${body.set}`)).body).toMatchObject({ name: 'a', created_by: 'Ada', edits: 1 })
    // What cannot be saved begins none.
    const before = (await ada.get('/api/sets')).body.length
    await ada.send('put', '/api/sets/new/plugins', { ...given, revision: '7-none' }).expect(409)
    expect((await ada.get('/api/sets')).body).toHaveLength(before)
    // Back to what is live, it changes nothing any more.
    const set = openSet(ada, body.set)
    expect((await set.save('one', plugin('a'))).status).toBe(200)
    expect((await set.review()).changes).toEqual([])
    expect((await set.publish('nothing')).body.title).toMatch(/there are no changes/)
  })

  test('says what is live of each plugin, since when and by whom, beside what the change set makes of it', async () => {
    const set = await beginSet(ada)
    const fields = { code: '1', mode: 'shadow', rollout: { percent: 5, by: 'ip' } }
    expect((await set.save('one', plugin('a', fields))).status).toBe(200)
    expect((await set.publish('shadow')).status).toBe(201)
    const now = await version()
    const next = await beginSet(bob)
    expect((await next.save('one', plugin('a', { ...fields, mode: 'live' }))).status).toBe(200)
    await next.add('one', plugin('new')).expect(201)
    await next.remove('one', plugin('b'))
    const { body } = await ada.get(`/api/plugins?set=${next.id}`).expect(200)
    const live = { enabled: true, mode: 'shadow', percent: 5, version: now, by: 'Ada', at: expect.any(String) }
    expect(body).toMatchObject([
      { name: 'a', change: 'changed', live, fields: { mode: 'live' } },
      { name: 'c', change: null, live: { mode: 'live', percent: null } },
      { name: 'new', change: 'added', live: null },
      { name: 'b', change: 'removed', live: { mode: 'live' } },
    ])
    expect(JSON.stringify(body)).not.toContain('code')
    expect(await next.find('one', plugin('a'))).toMatchObject({ live, live_fields: fields, others: [] })
    expect((await set.find('one', plugin('a'))).others).toMatchObject([{ id: next.id, created_by: 'Bob' }])
    expect(await names(`/api/plugins?set=${next.id}&search=NE`)).toEqual(['new'])
    expect(await names(`/api/plugins?set=${next.id}&limit=2&from=1`)).toEqual(['c', 'new'])
  })

  test('follows what goes live meanwhile; a field that both have changed is somebody’s to choose', async () => {
    const [mine, theirs] = [await beginSet(bob, 'mine'), await beginSet(ada, 'theirs')]
    expect((await mine.save('one', plugin('a', { code: "log('mine')", priority: 1 }))).status).toBe(200)
    expect((await theirs.save('one', plugin('a', { code: '1', on_failure: 'closed' }))).status).toBe(200)
    expect((await theirs.publish('closed')).status).toBe(201)
    // Two fields of one plugin go together by themselves.
    expect(await mine.find('one', plugin('a'))).toMatchObject({
      fields: { code: "log('mine')", priority: 1, on_failure: 'closed' },
      conflicts: [],
    })
    const more = await beginSet(ada, 'more')
    expect((await more.save('one', plugin('a', { code: "log('theirs')", on_failure: 'closed' }))).status).toBe(200)
    expect((await more.publish('code')).status).toBe(201)
    const found = await mine.find('one', plugin('a'))
    expect(found.conflicts).toEqual([{ field: 'code', base: '1', live: "log('theirs')", mine: "log('mine')" }])
    expect(await mine.review()).toMatchObject({
      conflicts: 1,
      changes: [{ name: 'a', conflicts: [{ field: 'code' }] }],
    })
    expect((await openSet(ada, mine.id).publish('mine')).body).toMatchObject({
      status: 409,
      title: expect.stringContaining('one/a; resolve them first'),
    })
    // Saving something else settles nothing; saying so does.
    expect((await mine.save('one', plugin('a', { ...found.fields, priority: 2 }))).status).toBe(200)
    expect((await mine.review()).conflicts).toBe(1)
    const fields = { ...found.fields, code: "log('both')", priority: 2 }
    expect((await mine.save('one', plugin('a', fields), { resolve: true })).status).toBe(200)
    expect((await mine.review()).conflicts).toBe(0)
    expect((await openSet(ada, mine.id).publish('mine')).status).toBe(201)
    expect((await ada.get('/plugins.json')).body.domains[0].plugins[0]).toEqual({ name: 'a', phase: 'log', ...fields })
  })

  test('what was removed here and changed there, and the other way round, is somebody’s to choose', async () => {
    const [removing, changing] = [await beginSet(bob, 'removing'), await beginSet(bob, 'changing')]
    await removing.remove('one', plugin('a'))
    expect((await changing.save('one', plugin('b', { code: "log('mine')" }))).status).toBe(200)
    const live = await beginSet(ada)
    expect((await live.save('one', plugin('a', { code: '2' }))).status).toBe(200)
    await live.remove('one', plugin('b'))
    expect((await live.publish('both')).status).toBe(201)
    expect((await removing.review()).changes[0].conflicts).toMatchObject([
      { field: '', live: { code: '2' }, mine: null },
    ])
    expect((await changing.review()).changes[0].conflicts).toMatchObject([
      { field: '', live: null, mine: { code: "log('mine')" } },
    ])
    const { revision } = await removing.find('one', plugin('a'))
    await bob.delete(`${removing.path}/plugins`, { key: key('a'), revision }).expect(200)
    expect((await removing.review()).conflicts).toBe(0)
    expect((await changing.save('one', plugin('b', { code: "log('mine')" }), { resolve: true })).status).toBe(200)
    expect((await changing.review()).conflicts).toBe(0)
  })

  test('what is switched off stays off when a change set from before is published', async () => {
    const set = await beginSet(ada)
    expect((await set.save('one', plugin('a', { code: '2' }))).status).toBe(200)
    await ada.send('post', '/api/switch', { domain: 'one', plugin: 'a', on: false }).expect(201)
    expect((await set.publish('two')).status).toBe(201)
    expect((await ada.get('/plugins.json')).body.domains[0].plugins[0]).toMatchObject({ code: '2', enabled: false })
    await ada.send('post', '/api/switch', { domain: 'one', plugin: 'a', on: true }).expect(201)
  })

  test('is discarded whole, or change by change, and is begun anew with what it had', async () => {
    const set = await beginSet(bob, 'some')
    await set.addDomain('two').expect(201)
    await set.add('two', plugin('x')).expect(201)
    await set.remove('one', plugin('a'))
    const discard = (kind: string, domain: string, name = '', phase = '') =>
      bob.delete(`${set.path}/changes`, { kind, domain, name, phase })
    await discard('plugin', 'one', 'a', 'log').expect(200)
    await discard('plugin', 'one', 'a', 'log').expect(404)
    expect((await set.review()).changes).toHaveLength(2)
    const { body: split } = await bob.post(`${set.path}/split`, key('x', 'two')).expect(201)
    expect((await openSet(bob, split.set).review()).differences).toMatchObject([{ domain: 'two' }, { plugin: 'x' }])
    expect((await set.review()).changes).toEqual([])
    await bob.delete(set.path).expect(204)
    await set.addDomain('three').expect(409, /already discarded/)
    const { body: again } = await bob.post(`/api/sets/${set.id}/reopen`, {}).expect(201)
    expect((await ada.get(`/api/sets/${again.set}`)).body).toMatchObject({ name: 'some', state: 'open' })
    await bob.post(`/api/sets/${again.set}/reopen`, {}).expect(409)
  })

  test('that was rolled back is marked as such, and not offered as new; until it is live again', async () => {
    const set = await beginSet(ada, 'bad')
    expect((await set.save('one', plugin('a', { code: "log('bad')" }))).status).toBe(200)
    expect((await set.publish('bad')).status).toBe(201)
    const bad = await version()
    const state = async () => (await ada.get(set.path)).body
    await ada.send('post', `/api/versions/${bad - 1}/rollback`, {}).expect(201)
    expect(await state()).toMatchObject({ state: 'published', version: bad, rolled_back_by: bad + 1 })
    expect(await names('/api/sets')).not.toContain('bad')
    expect((await ada.get('/api/sets?state=closed&limit=1')).body).toHaveLength(1)
    const { body: again } = await ada.send('post', `${set.path}/reopen`, {}).expect(201)
    expect((await openSet(ada, again.set).review()).differences).toMatchObject([
      { plugin: 'a', code: { after: "log('bad')" } },
    ])
    // To roll back to what was the rollback brings nothing of it; to its own version does.
    await ada.send('post', `/api/versions/${bad}/rollback`, {}).expect(201)
    expect(await state()).toMatchObject({ rolled_back_by: null })
    await ada.send('post', `/api/versions/${bad + 1}/rollback`, {}).expect(201)
    expect(await state()).toMatchObject({ rolled_back_by: bad + 3 })
  })

  test('is proposed with words, waits where everybody sees it, and is talked about', async () => {
    const set = await beginSet(bob, 'proposed')
    expect((await set.save('one', plugin('a', { code: '2' }))).status).toBe(200)
    const waiting = async () => (await ada.get('/api/live')).body.waiting
    const before = await waiting()
    expect((await set.propose('two is better')).body).toEqual({ proposal: set.id })
    expect(await waiting()).toBe(before + 1)
    await ada.send('post', `${set.path}/comments`, { text: 'why?' }).expect(204)
    expect((await bob.get(`${set.path}/comments`)).body).toMatchObject([{ by: 'Ada', text: 'why?' }])
    // Whoever changes it takes the proposal back.
    expect((await set.save('one', plugin('a', { code: '3' }))).status).toBe(200)
    expect(await waiting()).toBe(before)
    expect((await bob.get(set.path)).body.proposal).toMatchObject({ by: 'Bob', is_current: false })
    expect((await set.propose('three')).status).toBe(201)
    expect((await openSet(ada, set.id).approve()).status).toBe(201)
    expect((await ada.get('/api/versions?limit=1')).body).toMatchObject([{ message: 'three', created_by: 'Bob' }])
  })

  test('renames, orders and removes domains, but takes no name that is taken', async () => {
    const set = await importSet(ada, {
      domains: ['one', 'two', 'three'].map((name) => ({
        name,
        plugins: [{ name: `of-${name}`, phase: 'log', code: '1' }],
      })),
    })
    const list = () => names(`/api/domains?set=${set.id}`)
    const put = (domain: string, name: string) => ada.send('put', `${set.path}/domains`, { domain, name })
    await put('one', 'two').expect(409, /already a domain two/)
    await put('one', '').expect(422, /expected a name/)
    await put('one', 'first').expect(200)
    expect(await list()).toEqual(['first', 'two', 'three', 'one'])
    expect(await names(`/api/plugins?set=${set.id}&domain=first`)).toEqual(['of-one'])
    const move = (domain: string, before: string | null) =>
      ada.send('post', `${set.path}/domains/move`, { domain, before })
    await move('three', 'first').expect(200)
    await move('first', 'first').expect(200)
    await move('two', null).expect(200)
    expect((await list()).slice(0, 3)).toEqual(['three', 'first', 'two'])
    await move('three', 'none').expect(404)
    await ada.send('delete', `${set.path}/domains`, { domain: 'two' }).expect(200)
    const { body } = await ada.get(`/api/export?set=${set.id}`).expect(200)
    expect(body.domains.map(({ name }: { name: string }) => name)).toEqual(['three', 'first'])
    await ada.delete(set.path).expect(204)
  })

  test('moves plugins within a domain and into another one, and renames them in their place', async () => {
    const set = await beginSet(ada)
    await set.addDomain('two').expect(201)
    await set.add('two', plugin('a')).expect(201)
    const move = (name: string, before: string | null, to = 'one') =>
      ada.send('post', `${set.path}/plugins/move`, {
        key: key(name),
        to,
        before: before && { name: before, phase: 'log' },
      })
    const list = async (domain: string) =>
      (await ada.get(`/api/export?set=${set.id}`)).body.domains
        .find(({ name }: { name: string }) => name === domain)
        .plugins.map(({ name }: { name: string }) => name)
    await move('c', 'a').expect(200)
    expect(await list('one')).toEqual(['c', 'a', 'b'])
    await move('c', null).expect(200)
    expect(await list('one')).toEqual(['a', 'b', 'c'])
    await move('b', 'a', 'two').expect(200)
    expect([await list('one'), await list('two')]).toEqual([
      ['a', 'c'],
      ['b', 'a'],
    ])
    await move('a', null, 'two').expect(409, /already/)
    await move('a', 'x').expect(422, /of that domain/)
    const { revision } = await set.find('one', plugin('a'))
    await ada.send('put', `${set.path}/plugins`, { key: key('a'), plugin: plugin('renamed'), revision }).expect(200)
    expect(await list('one')).toEqual(['renamed', 'c'])
  })

  test('keeps what is said of the whole document', async () => {
    const set = await beginSet(ada)
    const look = async () => (await ada.get(`/api/general?set=${set.id}`).expect(200)).body
    const before = await look()
    const save = (fields: object, revision: string) => ada.send('put', `${set.path}/general`, { fields, revision })
    const fields = { skip_domains: ['^health\\.'], allow_removal: true }
    await save(fields, before.revision).expect(200)
    const { body } = await save({}, before.revision).expect(409)
    expect(body.current).toMatchObject({ fields })
    expect((await ada.get(`/api/export?set=${set.id}`)).body.general).toEqual(fields)
    const { revision } = await look()
    await save({ version: 7 }, revision).expect(422, /set when a version is published/)
    await save({ skip_domains: 'all' }, revision).expect(422, /fields\.skip_domains/)
    await save({ status: 'off' }, revision).expect(422, /fields\.status/)
  })

  test('lists what is live by name, whatever change sets make of it', async () => {
    expect(await names('/api/live/plugins?limit=1')).toEqual(['a'])
    expect(await names('/api/live/plugins?limit=1&after=1')).toEqual(['b'])
    await ada.send('post', '/api/switch', { domain: 'one', plugin: 'a', on: false }).expect(201)
    expect((await ada.get('/api/live/domains').expect(200)).body).toMatchObject([
      { name: 'one', plugins: 3, enabled: 2 },
    ])
    await ada.send('post', '/api/switch', { domain: 'one', plugin: 'a', on: true }).expect(201)
  })
})
