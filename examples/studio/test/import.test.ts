import { gzipSync } from 'node:zlib'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { packArchive, readArchive } from '../server/store/archive.ts'
import { beginSet, importSet, openSet } from './change-sets.ts'
import { databases } from './databases.ts'
import { type RunningStudio, runStudio, type Visitor } from './running-studio.ts'

const plugin = (name: string, code: string) => ({ name, phase: 'access', code })
const documentOf = (...plugins: object[]) => ({ domains: [{ name: 'a.example', plugins }] })

describe.each(databases)('importing on $name', ({ options }) => {
  let running: RunningStudio
  let ada: Visitor
  beforeAll(async () => {
    running = await runStudio({ database: await options() })
    ada = running.ada
  })
  afterAll(() => running.close())
  afterEach(() => expect(running.failures).toEqual([]))
  const put = (given: object) => ada.send('post', '/api/import', given)
  const look = (given: object) => ada.send('post', '/api/import/preview', given)
  const list = async (path = '/api/plugins') => (await ada.get(path).expect(200)).body
  const putAndPublish = async (document: object) =>
    expect((await (await importSet(ada, document)).publish('import')).body).toMatchObject({
      version: expect.any(Number),
    })

  test('is a change set: what is the same is no change, and what is open goes on', async () => {
    await putAndPublish(documentOf(plugin('gone', '1'), plugin('kept', '1'), plugin('changed', '1')))
    const open = await beginSet(ada, 'open')
    expect((await open.save('a.example', { name: 'changed', phase: 'access', fields: { code: '3' } })).status).toBe(200)
    const changed = documentOf(plugin('changed', '2'), plugin('kept', '1'), plugin('new', '1'))
    const set = await importSet(ada, { ...changed, general: { skip_domains: ['b'] } })
    const { changes } = await set.review()
    expect(
      changes.map(({ kind, name, change }: { kind: string; name: string; change: string }) => [kind, name, change]),
    ).toEqual([
      ['general', '', 'changed'],
      ['plugin', 'gone', 'removed'],
      ['plugin', 'changed', 'changed'],
      ['plugin', 'new', 'added'],
      ['order', '', 'changed'],
    ])
    expect(await list(`/api/plugins?set=${set.id}`)).toMatchObject([
      { name: 'changed', change: 'changed' },
      { name: 'kept', change: null },
      { name: 'new', change: 'added', live: null },
      { name: 'gone', change: 'removed', live: { enabled: true } },
    ])
    expect((await set.publish('import')).status).toBe(201)
    const { conflicts } = await open.find('a.example', { name: 'changed', phase: 'access' })
    expect(conflicts).toEqual([{ field: 'code', base: '1', live: '2', mine: '3' }])
  })

  test('shows what it would change, and does nothing when something else is live by now', async () => {
    await putAndPublish(documentOf(plugin('one', '1')))
    const given = { document: documentOf(plugin('one', 'exit('), plugin('two', '1')) }
    const { body: preview } = await look(given).expect(200)
    expect(preview).toMatchObject({
      domains: 1,
      plugins: 2,
      errors: 1,
      findings: [{ rule: 'compile', plugin: 'one' }, {}],
    })
    expect(preview.differences).toMatchObject([
      { kind: 'changed', plugin: 'one' },
      { kind: 'added', plugin: 'two' },
    ])
    const meanwhile = await beginSet(ada)
    await meanwhile.addDomain('meanwhile.example').expect(201)
    expect((await meanwhile.publish('meanwhile')).status).toBe(201)
    const { body } = await put({ ...given, base: preview.base }).expect(409)
    expect(body.current).toEqual({ version: preview.base + 1 })
    const { body: made } = await put({ ...given, base: preview.base + 1, name: 'two plugins' }).expect(201)
    expect((await ada.get(`/api/sets/${made.set}`)).body).toMatchObject({ name: 'two plugins', state: 'open' })
    expect((await openSet(ada, made.set).publish('broken')).status).toBe(422)
    await put({ document: (await ada.get('/api/export')).body }).expect(409, /this is what version/)
  })

  test('gives a change set out as a folder, and takes it in again', async () => {
    const document = {
      general: { skip_domains: ['b'] },
      ...documentOf(plugin('one', 'exit(403)'), plugin('two', 'exit(404)')),
    }
    const set = await importSet(ada, document)
    const path = `/api/export/folder?set=${set.id}`
    const answer = await ada.get(path).responseType('blob').expect(200)
    expect(answer.headers['content-disposition']).toBe('attachment; filename="plugins.tar.gz"')
    const files = await readArchive(answer.body)
    expect([...files.keys()].sort()).toEqual(['dynacode.json', 'one.js', 'two.js'])
    const { body: again } = await put({ archive: answer.body.toString('base64') }).expect(201)
    await ada.get(`/api/export?set=${again.set}`).expect(200, document)
    const { body: other } = await put({ files: { ...Object.fromEntries(files), 'one.js': 'exit(401)' } }).expect(201)
    const key = { name: 'one', phase: 'access' }
    expect((await openSet(ada, other.set).find('a.example', key)).fields).toEqual({ code: 'exit(401)' })
    await ada.get(`/api/export?set=${other.set}&version=1`).expect(422, /a version or a change set/)
  })

  test.each([
    ['nothing', {}, /either a document, files, or an archive/],
    ['two things', { files: {}, document: { domains: [] } }, /either a document, files, or an archive/],
    ['files without a manifest', { files: { 'a.js': '' } }, /files: expected a file dynacode\.json/],
    [
      'a missing file',
      {
        files: {
          'dynacode.json': JSON.stringify({
            domains: [{ name: 'a', plugins: [{ name: 'p', phase: 'log', file: '../p.js' }] }],
          }),
        },
      },
      /inside the folder/,
    ],
    [
      'an archive that is none',
      { archive: Buffer.from('no archive').toString('base64') },
      /archive: expected a tar\.gz/,
    ],
    [
      'an archive that is cut off',
      { archive: gzipSync('x'.repeat(9000)).subarray(0, 20).toString('base64') },
      /archive: expected a tar\.gz/,
    ],
    ['what is no Base64', { archive: '%%%' }, /archive/],
  ])('says of %s what is wrong with it', async (_, given, message) => {
    const before = await list('/api/sets')
    await look(given).expect(422, message)
    await put(given).expect(422, message)
    expect(await list('/api/sets')).toEqual(before)
  })
})

test('reads no more of an archive than fits, whatever it unpacks to', async () => {
  const bomb = gzipSync(Buffer.alloc(80 * 1024 * 1024))
  await expect(readArchive(bomb)).rejects.toThrow('archive: expected at most')
})

test('takes the folder in which there is a manifest, and names that lead away for no more than names', async () => {
  const archive = await packArchive(
    'a/b',
    new Map([
      ['dynacode.json', '{}'],
      ['p.js', '1'],
      ['../../../etc/passwd', '2'],
    ]),
  )
  expect([...(await readArchive(archive))]).toEqual([
    ['dynacode.json', '{}'],
    ['p.js', '1'],
    ['../../../etc/passwd', '2'],
  ])
})
