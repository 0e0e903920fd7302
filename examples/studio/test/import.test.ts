import { gzipSync } from 'node:zlib'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { packArchive, readArchive } from '../server/store/archive.ts'
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
  const list = async () => (await ada.get('/api/plugins').expect(200)).body

  test('keeps what is the same the same, so that nobody loses what is open', async () => {
    await put({ document: documentOf(plugin('gone', '1'), plugin('kept', '1'), plugin('changed', '1')) }).expect(204)
    const before = await list()
    const changed = documentOf(plugin('changed', '2'), plugin('kept', '1'), plugin('new', '1'))
    await put({ document: { ...changed, general: { skip_domains: ['b'] } } }).expect(204)
    expect(await list()).toMatchObject([
      { id: before[2].id, name: 'changed', revision: 2, fields: { code: '2' } },
      { id: before[1].id, name: 'kept', revision: 1 },
      { name: 'new', revision: 1 },
    ])
    const late = { name: 'changed', phase: 'access', fields: { code: '3' }, revision: 1 }
    await ada.send('put', `/api/plugins/${before[2].id}`, late).expect(409)
  })

  test('shows what it would change, and does nothing when that has become something else', async () => {
    await put({ document: documentOf(plugin('one', '1')) }).expect(204)
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
    expect(await list()).toHaveLength(1)
    await ada.send('post', '/api/domains', { name: 'meanwhile.example' }).expect(201)
    const { body } = await put({ ...given, draft: preview.draft }).expect(409)
    expect(body.current).toEqual({ revision: preview.draft + 1 })
    await put({ ...given, draft: preview.draft + 1 }).expect(204)
    expect(await list()).toHaveLength(2)
  })

  test('gives the draft out as a folder, and takes it in again', async () => {
    const document = {
      general: { skip_domains: ['b'] },
      ...documentOf(plugin('one', 'exit(403)'), plugin('two', 'exit(404)')),
    }
    await put({ document }).expect(204)
    const answer = await ada.get('/api/export/folder').responseType('blob').expect(200)
    expect(answer.headers['content-disposition']).toBe('attachment; filename="plugins.tar.gz"')
    const files = await readArchive(answer.body)
    expect([...files.keys()].sort()).toEqual(['dynacode.json', 'one.js', 'two.js'])
    await put({ document: { domains: [] } }).expect(204)
    await put({ archive: answer.body.toString('base64') }).expect(204)
    await ada.get('/api/export').expect(200, document)
    await put({ files: { ...Object.fromEntries(files), 'one.js': 'exit(401)' } }).expect(204)
    expect((await list())[0].fields).toEqual({ code: 'exit(401)' })
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
    const before = await list()
    await look(given).expect(422, message)
    await put(given).expect(422, message)
    expect(await list()).toEqual(before)
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
