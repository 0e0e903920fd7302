// The JSON Schema of documents: made of the schemas that dynacode itself reads them with, and of what the docs say.
import * as z from 'zod'
import { documentSchema } from '../lib/tools/document-schema.ts'

/** The pages whose tables describe the fields. */
export const SCHEMA_PAGES = ['docs/document.md', 'docs/guarded-rollouts.md'] as const

/** What is described by which table of these: by the path in the schema, the head of the table's first column. */
const TABLES = {
  '': 'field',
  general: 'field of `general`',
  domain: 'field of a domain',
  plugin: 'field of a plugin',
  variant: 'field of a variant',
  when: 'key of `when`',
  not: 'key of `when`',
  rollout: 'field of `rollout`',
  stop_when: 'field of `stop_when`',
  step: 'field of a step',
} as const

interface Schema {
  type?: unknown
  description?: string | undefined
  properties?: Record<string, Schema>
  required?: string[]
  items?: Schema
  anyOf?: Schema[]
  additionalProperties?: unknown
  patternProperties?: object
}

const OWN = '^x-'
const CODE = ['code', 'variants', 'file']
const FILE = 'in a folder: the file with the code, in place of code'

/** @param page the text of these pages */
export function createJsonSchema(page: string): object {
  const whole = z.toJSONSchema(documentSchema, {
    io: 'input',
    target: 'draft-7',
    unrepresentable: 'any',
  }) as unknown as Schema
  const { general, domains, plugins } = whole.properties as Record<string, Schema>
  const domain = domains?.items as Schema
  const plugin = objectIn(plugins)
  const parts = {
    '': whole,
    general: objectIn(general),
    domain,
    plugin,
    variant: objectIn(plugin.properties?.variants),
    when: objectIn(plugin.properties?.when),
    not: objectIn(objectIn(plugin.properties?.when).properties?.not),
    rollout: objectIn(plugin.properties?.rollout),
    stop_when: objectIn(objectIn(plugin.properties?.rollout).properties?.stop_when),
    step: objectIn(objectIn(plugin.properties?.rollout).properties?.steps),
  }
  for (const [name, part] of Object.entries(parts)) {
    describe(part, readTable(page, TABLES[name as keyof typeof TABLES]))
    // Where the reader lets an unknown field by, an editor underlines it all the same.
    if (part.additionalProperties === false) continue
    part.additionalProperties = false
    part.patternProperties = { [OWN]: {} }
  }
  const { required, ...fields } = plugin
  const both = { properties: { code: { type: 'string' }, variants: { type: 'array' } }, required: ['code', 'variants'] }
  const withCode = { anyOf: CODE.map((name) => ({ required: [name] })) }
  const ref = { $ref: '#/definitions/plugin' }
  Object.assign(parts[''].properties as object, {
    $schema: { type: 'string', description: readTable(page, 'field').get('$schema') },
    plugins: {
      ...plugins,
      anyOf: [
        { type: 'array', items: { allOf: [ref, withCode, { required: ['id', ...(required ?? [])] }] } },
        { type: 'null' },
      ],
    },
  })
  Object.assign(parts.general.properties as object, {
    skip_domains: nullable(
      'array',
      { items: { type: 'string', minLength: 1 } },
      parts.general.properties?.skip_domains,
    ),
  })
  domain.required = ['name', 'plugins']
  const entry = {
    allOf: [
      ref,
      {
        anyOf: [
          { required: ['id'], not: withCode },
          { ...withCode, required },
        ],
      },
    ],
  }
  Object.assign(domain.properties?.plugins as object, { items: { anyOf: [{ type: ['number', 'string'] }, entry] } })
  return { ...whole, title: 'A document of dynacode', definitions: { plugin: { ...fields, not: both } } }
}

const nullable = (type: string, more: object, { description }: Schema = {}) => ({
  ...(description === undefined ? {} : { description }),
  anyOf: [{ type, ...more }, { type: 'null' }],
})

/** The object that a field holds, where it may also be null, or is in a list. */
function objectIn(schema: Schema | undefined): Schema {
  const { anyOf = [], items } = schema ?? {}
  const found =
    schema?.properties === undefined
      ? (items ?? anyOf.find(({ type }) => type === 'object' || type === 'array'))
      : schema
  if (found === undefined) throw new Error(`no object in ${JSON.stringify(schema)}`)
  return found.properties === undefined ? objectIn(found) : found
}

function describe({ properties = {} }: Schema, texts: ReadonlyMap<string, string>): void {
  for (const [name, field] of Object.entries(properties)) {
    const text = name === 'file' ? FILE : texts.get(name)
    if (text !== undefined) field.description = text
    else if (name !== 'not') throw new Error(`the docs say nothing of ${name}`)
  }
}

/** What the tables with this head say, by the names in their first column; without links. */
function readTable(page: string, head: string): ReadonlyMap<string, string> {
  const tables = page.split('\n\n').filter((block) => block.startsWith(`| ${head} |`))
  const rows = tables.flatMap((table) => table.split('\n').slice(2))
  return new Map(
    rows.flatMap((row) => {
      const cells = row.replace(/^\| | \|$/g, '').split(' | ')
      const text = (cells.at(-1) as string).replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
      return [...(cells[0] as string).matchAll(/`([^`]+)`/g)].map(([, name]) => [name as string, text] as const)
    }),
  )
}
