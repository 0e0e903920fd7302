import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Ajv } from 'ajv'
import { describe, expect, test } from 'vitest'
import { createJsonSchema, SCHEMA_PAGES } from '../../.build/json-schema.ts'
import { readDocument } from '../../lib/background/reading/validator.ts'
import { createProject } from '../../lib/cli/new-project.ts'
import { ROOT, readDocsPage } from '../docs/pages.ts'

type Schema = { description?: string; properties?: Record<string, Schema> }

const page = SCHEMA_PAGES.map((name) => readFileSync(join(ROOT, name), 'utf8')).join('\n\n')
const schema = createJsonSchema(page) as Schema & { definitions: { plugin: Schema } }
const validate = new Ajv({ strict: false, validateFormats: false }).compile(schema)
/** Where the schema finds something wrong; [] where it does not. */
const faultsOf = (value: unknown) =>
  validate(value) ? [] : (validate.errors ?? []).map(({ instancePath }) => instancePath)

const parse = (text: string): unknown => JSON.parse(text)
const manifests = ['cookbook', 'cluster', 'gateway', 'quick-start'].flatMap((folder) =>
  readdirSync(join(ROOT, 'examples', folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('dynacode.json'))
    .map((name) => `examples/${folder}/${name}`),
)

describe('the JSON Schema of documents', () => {
  test.each(manifests)('has nothing against %s', (file) => {
    expect(faultsOf(parse(readFileSync(join(ROOT, file), 'utf8')))).toEqual([])
  })

  test('nor against the documents of the docs, and what init writes', () => {
    expect(manifests.length).toBeGreaterThan(20)
    const documents = readDocsPage('document').blocks.filter(({ marks }) => marks.get('document') === '')
    expect(documents.length).toBeGreaterThan(2)
    for (const { text } of documents) expect(faultsOf(parse(text))).toEqual([])
    expect(faultsOf(parse(createProject('1.0.0').get('plugins/dynacode.json') as string))).toEqual([])
  })

  const plugin = { name: 'p', phase: 'access', code: '' }
  const variants = [{ name: 'a', code: '', percent: 10 }]
  const inDomain = (...plugins: unknown[]) => ({ domains: [{ name: '*', plugins }] })
  const withPlugin = (fields: object) => inDomain({ ...plugin, ...fields })

  test.each([
    ['no domains', {}],
    ['a misspelled list', { domain: [] }],
    ['a misspelled field of general', { domains: [], general: { skip_domain: [] } }],
    ['an end that is no time', { domains: [], general: { expires: 'soon' } }],
    ['a domain without a name', { domains: [{ plugins: [] }] }],
    ['a domain without plugins', { domains: [{ name: '*' }] }],
    ['a misspelled field of a domain', { domains: [{ name: '*', plugins: [], plugin: [] }] }],
    ['no name', inDomain({ phase: 'access', code: '', id: 1 })],
    ['no phase', inDomain({ name: 'p', code: '' })],
    ['no code', inDomain({ name: 'p', phase: 'access' })],
    ['a phase that is none', withPlugin({ phase: 'acess' })],
    ['both code and variants', withPlugin({ variants })],
    ['a misspelled condition', withPlugin({ whne: { paths: '/' } })],
    ['a misspelled key of when', withPlugin({ when: { path: '/' } })],
    ['a misspelled key of not', withPlugin({ when: { not: { method: 'GET' } } })],
    ['a path that is relative', withPlugin({ when: { paths: 'a' } })],
    ['a method that is none', withPlugin({ when: { methods: 'G T' } })],
    ['a value of neither kind', withPlugin({ when: { user_agent: { regexp: 'a' } } })],
    ['more than all of the traffic', withPlugin({ rollout: { percent: 101 } })],
    ['a key that nobody has', withPlugin({ rollout: { percent: 1, by: 'user' } })],
    ['a misspelled condition of a guard', withPlugin({ rollout: { percent: 1, stop_when: { eror_rate: 0.1 } } })],
    ['a guard that allows everything', withPlugin({ rollout: { percent: 1, stop_when: { error_rate: 1 } } })],
    ['a window without its unit', withPlugin({ rollout: { percent: 1, stop_when: { error_rate: 0.1, window: '5' } } })],
    ['a step of no share', withPlugin({ rollout: { steps: [{ for: '1m' }] }, starts_at: '2030-01-31T12:00:00Z' })],
    ['a variant without a share', inDomain({ name: 'p', phase: 'access', variants: [{ name: 'a', code: '' }] })],
    ['no variants', inDomain({ name: 'p', phase: 'access', variants: [] })],
    ['a time without a zone', withPlugin({ starts_at: '2030-01-31T12:00:00' })],
    ['a budget of nothing', withPlugin({ budget_ms: 0 })],
    ['a mode that is none', withPlugin({ mode: 'dry' })],
    ['params that are a list', withPlugin({ params: [] })],
    ['a shared plugin without an id', { domains: [], plugins: [plugin] }],
  ])('refuses what dynacode refuses: %s', (_, document) => {
    expect(faultsOf(document)).not.toEqual([])
    expect(isAllSound(document)).toBe(false)
  })

  test.each([
    ['nothing in it', { domains: [] }],
    [
      'null wherever it may be',
      { domains: [], plugins: null, general: { status: null, skip_domains: null, expires: null } },
    ],
    ['a reference', { ...inDomain(1, { id: 1, name: 'q', params: {} }), plugins: [{ id: 1, ...plugin }] }],
    ['fields of others', { 'x-a': 1, ...withPlugin({ 'x-owner': 'a', params: { any: [] }, when: null }) }],
    ['all of a plugin', withPlugin({ code: null, variants, rollout: { by: 'cookie:a' }, priority: -1 })],
    ['lists of conditions', withPlugin({ when: { paths: ['/a'], ips: ['::1'], headers: { 'x-a': ['a', 'b'] } } })],
  ])('takes what dynacode takes: %s', (_, document) => {
    expect(faultsOf(document)).toEqual([])
    expect(isAllSound(document)).toBe(true)
  })

  test('underlines an unknown field, though dynacode lets it by', () => {
    expect(faultsOf(withPlugin({ description: 'a' }))).not.toEqual([])
    expect(isAllSound(withPlugin({ description: 'a' }))).toBe(true)
  })

  test('says of each field what the docs say', () => {
    expect(schema.properties?.domains?.description).toMatch(/^array of domains/)
    for (const field of Object.values(schema.definitions.plugin.properties ?? {})) {
      expect(field.description?.length).toBeGreaterThan(10)
      expect(field.description).not.toContain('](')
    }
  })
})

/** Whether the reader has nothing against a document. */
function isAllSound(document: object): boolean {
  try {
    const { domains, faults } = readDocument(JSON.stringify(document))
    const parts = domains.flatMap((part): readonly object[] => ('error' in part ? [part] : part.plugins))
    return faults.length === 0 && parts.every((part) => !('error' in part))
  } catch {
    return false
  }
}
