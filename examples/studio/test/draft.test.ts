import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { databases } from './databases.ts'
import { type RunningStudio, runStudio, type Visitor } from './running-studio.ts'

describe.each(databases)('the draft on $name', ({ options }) => {
  let running: RunningStudio
  let ada: Visitor
  beforeAll(async () => {
    running = await runStudio({ database: await options() })
    ada = running.ada
  })
  afterAll(() => running.close())
  beforeEach(() => ada.send('post', '/api/import', { document: { domains: [] } }).expect(204))
  afterEach(() => expect(running.failures).toEqual([]))

  const addDomain = async (name: string) => (await ada.send('post', '/api/domains', { name }).expect(201)).body
  const addPlugin = async (domain_id: number, name: string, fields: object = { code: '1' }) => {
    const plugin = { name, phase: 'log', fields }
    return (await ada.send('post', `/api/domains/${domain_id}/plugins`, plugin).expect(201)).body
  }
  const namesOf = async (path: string) =>
    (await ada.get(path).expect(200)).body.map(({ name }: { name: string }) => name)
  const publish = async (message: string) => {
    const { body } = await ada.get('/api/live').expect(200)
    await ada.send('post', '/api/versions', { message, base: body.version }).expect(201)
  }

  test('renames a domain, but not to a name that is taken, nor over what somebody else did', async () => {
    const first = await addDomain('a.example')
    await addDomain('b.example')
    await ada.send('put', `/api/domains/${first.id}`, { name: 'b.example', revision: 1 }).expect(409, /is taken/)
    await ada.send('put', `/api/domains/${first.id}`, { name: '', revision: 1 }).expect(422, /expected a name/)
    await ada.send('put', `/api/domains/${first.id}`, { name: 'c.example', revision: 1 }).expect(200)
    const { body } = await ada.send('put', `/api/domains/${first.id}`, { name: 'd.example', revision: 1 }).expect(409)
    expect(body.current).toMatchObject({ name: 'c.example', revision: 2 })
    expect(await namesOf('/api/domains')).toEqual(['c.example', 'b.example'])
  })

  test('puts domains into another order', async () => {
    const [a, b, c] = [await addDomain('a'), await addDomain('b'), await addDomain('c')]
    await ada.send('post', `/api/domains/${c.id}/move`, { before: a.id }).expect(200)
    expect(await namesOf('/api/domains')).toEqual(['c', 'a', 'b'])
    await ada.send('post', `/api/domains/${c.id}/move`, { before: null }).expect(200)
    await ada.send('post', `/api/domains/${b.id}/move`, { before: b.id }).expect(200)
    expect(await namesOf('/api/domains')).toEqual(['a', 'b', 'c'])
    await ada.send('post', `/api/domains/${c.id}/move`, { before: 999_999 }).expect(404)
  })

  test('moves plugins within a domain and into another one', async () => {
    const [one, two] = [await addDomain('one'), await addDomain('two')]
    const [a, b, c] = [await addPlugin(one.id, 'a'), await addPlugin(one.id, 'b'), await addPlugin(one.id, 'c')]
    const other = await addPlugin(two.id, 'a')
    const list = `/api/plugins?domain_id=${one.id}`
    await ada.send('post', `/api/plugins/${c.id}/move`, { before: a.id }).expect(200)
    expect(await namesOf(list)).toEqual(['c', 'a', 'b'])
    await ada.send('post', `/api/plugins/${c.id}/move`, { before: null }).expect(200)
    expect(await namesOf(list)).toEqual(['a', 'b', 'c'])
    await ada.send('post', `/api/plugins/${b.id}/move`, { domain_id: two.id, before: other.id }).expect(200)
    expect(await namesOf(`/api/plugins?domain_id=${two.id}`)).toEqual(['b', 'a'])
    await ada.send('post', `/api/plugins/${a.id}/move`, { domain_id: two.id, before: null }).expect(409, /already/)
    await ada.send('post', `/api/plugins/${a.id}/move`, { before: other.id }).expect(422, /of that domain/)
    const { body: document } = await ada.get('/api/export').expect(200)
    expect(
      document.domains.map(({ plugins }: { plugins: { name: string }[] }) => plugins.map(({ name }) => name)),
    ).toEqual([
      ['a', 'c'],
      ['b', 'a'],
    ])
  })

  test('keeps what is said of the whole document', async () => {
    const { body: before } = await ada.get('/api/general').expect(200)
    const fields = { skip_domains: ['^health\\.'], allow_removal: true }
    const save = (given: object, revision = before.revision) =>
      ada.send('put', '/api/general', { fields: given, revision })
    await save(fields).expect(200, { fields, revision: before.revision + 1 })
    const { body } = await save({}).expect(409)
    expect(body.current).toEqual({ fields, revision: before.revision + 1 })
    expect((await ada.get('/api/export')).body.general).toEqual(fields)
    const revision = before.revision + 1
    await save({ version: 7 }, revision).expect(422, /set when a version is published/)
    await save({ skip_domains: 'all' }, revision).expect(422, /fields\.skip_domains/)
    await save({ status: 'off' }, revision).expect(422, /fields\.status/)
  })

  test('takes a plugin with variants, and tells when their shares are too large', async () => {
    const domain = await addDomain('variants.example')
    const variants = (percent: number) => ({
      rollout: { by: 'cookie:sid' },
      variants: [
        { name: 'old', percent: 90, code: "log('old')" },
        { name: 'new', percent, code: "log('new')" },
      ],
    })
    const plugin = await addPlugin(domain.id, 'banner', variants(10))
    expect((await ada.get('/api/draft').expect(200)).body.findings).toEqual([
      expect.objectContaining({ severity: 'note' }),
    ])
    const saved = { name: 'banner', phase: 'log', fields: variants(20), revision: plugin.revision }
    await ada.send('put', `/api/plugins/${plugin.id}`, saved).expect(200)
    const { body } = await ada.get('/api/draft').expect(200)
    expect(body.findings).toContainEqual(expect.objectContaining({ severity: 'error', plugin: 'banner' }))
  })

  test('lists what is live by name, whatever the draft has become', async () => {
    const domain = await addDomain('live.example')
    const fields = { code: '1', mode: 'shadow', rollout: { percent: 5, by: 'ip' } }
    const first = await addPlugin(domain.id, 'first', fields)
    await addPlugin(domain.id, 'second', { code: '1', enabled: false })
    await addDomain('other.example')
    await publish('names')
    await ada
      .send('put', `/api/plugins/${first.id}`, { name: 'renamed', phase: 'log', fields, revision: 1 })
      .expect(200)
    const one = {
      id: 1,
      domain: 'live.example',
      name: 'first',
      phase: 'log',
      enabled: true,
      mode: 'shadow',
      percent: 5,
    }
    await ada.get('/api/live/plugins?search=IRS').expect(200, [one])
    expect(await namesOf('/api/live/plugins?limit=1')).toEqual(['first'])
    expect(await namesOf('/api/live/plugins?limit=1&after=1')).toEqual(['second'])
    expect(await namesOf('/api/live/plugins?domain=other.example')).toEqual([])
    await ada
      .get('/api/live/domains?search=live')
      .expect(200, [{ id: 1, name: 'live.example', plugins: 2, enabled: 1 }])
    await ada.send('post', '/api/switch', { domain: 'live.example', plugin: 'first', on: false }).expect(201)
    expect((await ada.get('/api/live/domains').expect(200)).body).toMatchObject([{ enabled: 0 }, { plugins: 0 }])
  })
})
