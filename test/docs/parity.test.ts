import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import ts from 'typescript'
import { describe, expect, test } from 'vitest'
import type { z } from 'zod'
import { frameSchema, PHASES, pluginSchema } from '../../lib/document.ts'
import { ERROR_CODES } from '../../lib/errors.ts'
import { CALLBACKS } from '../../lib/events/table.ts'
import { conditionSchema } from '../../lib/matching/condition.ts'
import { rolloutSchema } from '../../lib/matching/rollout.ts'
import { stepSchema } from '../../lib/matching/rollout-steps.ts'
import { readStopWhen, STOP_CONDITIONS, stopWhenSchema } from '../../lib/matching/stop-when.ts'
import { type DynacodeOptions, OPTION_NAMES, parseOptions } from '../../lib/options.ts'
import { ENVIRONMENT_NAMES } from '../../lib/program.ts'
import { createRolloutWatch, FALSE_STOPS } from '../../lib/request/rollout/watch.ts'
import { SYSTEM_CLOCK } from '../../lib/time/clock.ts'
import { createInstance } from '../fixtures/instance.ts'
import { cellOf, codeIn, namesIn, ROOT, readDocsPage, tablesOf } from './pages.ts'

const LIB = join(ROOT, 'lib')
const BARE: DynacodeOptions = { plugin_api_uri: 'http://127.0.0.1:9090/plugins.json' }
const CALLBACK_NAMES: readonly string[] = [...new Set(Object.values(CALLBACKS))]

const sorted = (names: Iterable<string>) => [...names].sort()

describe('docs/options.md', () => {
  const tables = tablesOf(readDocsPage('options'), 'option')

  test('lists every option but the callbacks, and no other', () => {
    const options = OPTION_NAMES.filter((name) => !CALLBACK_NAMES.includes(name))
    expect(sorted(namesIn(tables))).toEqual(sorted(options))
  })

  const defaults = tables.flatMap((table) =>
    table.rows.map((row) => ({ name: codeIn(row[0] ?? '')[0] ?? '', says: codeIn(cellOf(table, row, 'default'))[0] })),
  )

  test.each(defaults)('gives the default of $name', ({ name, says }) => {
    // Some defaults depend on another option: the docs have to say how.
    for (const given of name === 'plugin_api_polling_interval' ? [{}] : [{}, { plugin_api_polling_interval: 7 }]) {
      const options: Record<string, unknown> = { ...parseOptions({ ...BARE, ...given }) }
      const real = name in BARE ? undefined : options[name]
      expect(evaluate(says ?? 'undefined', options)).toEqual(real)
    }
  })

  test('lists every field of the options that are objects, with its default', () => {
    const fieldsOf = (option: string) =>
      Object.fromEntries(
        tablesOf(readDocsPage('options'), `field of \`${option}\``).flatMap((table) =>
          table.rows.map((row) => {
            const text = codeIn(cellOf(table, row, 'default'))[0]
            return [codeIn(row[0] ?? '')[0], text && evaluate(text, {})]
          }),
        ),
      )
    const { watchdog } = parseOptions({ ...BARE, watchdog: { quarantine_path: '/quarantine' } })
    expect(fieldsOf('watchdog')).toEqual({ ...watchdog, quarantine_path: undefined })
    const { debug_requests } = parseOptions({ ...BARE, debug_requests: { tokens: ['0123456789abcdef'] } })
    expect(fieldsOf('debug_requests')).toEqual({ ...debug_requests, tokens: undefined, trusted_keys: undefined })
    expect(Object.keys(fieldsOf('debug_requests')).sort()).toEqual(
      membersOf('request/debug/options.ts', 'DebugOptions')
        .map(({ name }) => name)
        .sort(),
    )
  })
})

/** Defaults stand in the docs as JavaScript, in which other options may occur. */
function evaluate(expression: string, options: Record<string, unknown>): unknown {
  return new Function(...Object.keys(options), `return (${expression})`)(...Object.values(options))
}

describe('the published types of the options', () => {
  const members = [
    ...membersOf('sources/http/options.ts', 'ApiOptions'),
    ...membersOf('background/options.ts', 'UpdateOptions'),
    ...membersOf('request/options.ts', 'RequestOptions'),
    ...membersOf('observability/report/options.ts', 'ReportOptions'),
    ...membersOf('options.ts', 'DynacodeOptions'),
  ]

  test('have a docblock for every option', () => {
    const undocumented = members.filter((member) => ts.getJSDocCommentsAndTags(member.declaration).length === 0)
    expect(undocumented.map(({ name }) => name)).toEqual([])
  })

  test('have every option that is accepted, and no other', () => {
    expect(sorted([...members.map(({ name }) => name), ...CALLBACK_NAMES])).toEqual(sorted(OPTION_NAMES))
  })
})

describe('docs/events.md', () => {
  const tables = tablesOf(readDocsPage('events'), 'event')
  const rows = tables.flatMap((table) =>
    table.rows.map((row) => ({
      event: codeIn(row[0] ?? '')[0] ?? '',
      callback: codeIn(cellOf(table, row, 'callback'))[0],
      payload: codeIn(cellOf(table, row, 'payload')),
    })),
  )

  test('lists every event with its callback, and no other', () => {
    expect(Object.fromEntries(rows.map(({ event, callback }) => [event, callback]))).toEqual(CALLBACKS)
  })

  test('lists every field of every payload, and no other', () => {
    const fields = fieldsOfEvents()
    expect(Object.keys(fields)).toHaveLength(Object.keys(CALLBACKS).length)
    expect(Object.fromEntries(rows.map(({ event, payload }) => [event, sorted(payload)]))).toEqual(fields)
  })

  test('lists the fields of a plugin', () => {
    expect(sorted(namesIn(tablesOf(readDocsPage('events'), 'field of `plugin`')))).toEqual(
      sorted(membersOf('events/table.ts', 'PluginInfo').map(({ name }) => name)),
    )
  })

  test('lists every section of on_error, and no other', () => {
    const said = findInLib(/\bsection: ('\w+'(?: \| '\w+')*)/g).flatMap((union) => union.split(' | '))
    const sections = new Set(said.map((literal) => literal.slice(1, -1)))
    expect(sorted(namesIn(tablesOf(readDocsPage('events'), 'section')))).toEqual(sorted(sections))
  })

  test('lists every reason of bg_didnt_update_plugins, and no other', () => {
    const reasons = literalsOf('events/table.ts', 'NoUpdate', 'reason')
    expect(sorted(namesIn(tablesOf(readDocsPage('events'), 'reason')))).toEqual(sorted(reasons))
  })

  test('lists every debug namespace, and no other', () => {
    const named = namesIn(tablesOf(readDocsPage('events'), 'namespace'))
    expect(sorted(named.filter((name) => !name.includes('<')))).toEqual(findInLib(/createDebug\('([^']+)'\)/g))
    expect(named).toContain('dynacode:plugin:<name>')
  })
})

describe('docs/errors.md', () => {
  test('has a heading for every code, and for no other', () => {
    const codes = readDocsPage('errors').headings.filter((heading) => heading.startsWith('ERR_'))
    expect(sorted(codes)).toEqual(sorted(ERROR_CODES))
  })

  test('names every class of errors that the package exports', () => {
    const exported = findIn('index.ts', /\b(\w+Error)\b/g)
    expect(sorted(namesIn(tablesOf(readDocsPage('errors'), 'class')))).toEqual(exported)
  })
})

describe('docs/tracing.md', () => {
  const page = readDocsPage('tracing')

  test.each([
    ['field of a run', 'PluginRunMessage'],
    ['field of a refresh', 'RefreshMessage'],
  ])('lists every %s, and no other', (column, declared) => {
    expect(sorted(namesIn(tablesOf(page, column)))).toEqual(
      sorted(membersOf('events/tracing.ts', declared).map(({ name }) => name)),
    )
  })

  test('lists every channel, and no other', () => {
    expect(sorted(namesIn(tablesOf(page, 'channel')))).toEqual(findInLib(/tracingChannel\('([^']+)'\)/g))
  })

  test.each([
    ['PluginRunMessage', 'outcome'],
    ['RefreshMessage', 'occasion'],
  ])('says what each value of %s.%s means', (declared, field) => {
    const cells = tablesOf(page, declared === 'RefreshMessage' ? 'field of a refresh' : 'field of a run').flatMap(
      (table) => table.rows.filter((row) => codeIn(row[0] ?? '')[0] === field).map((row) => cellOf(table, row, 'what')),
    )
    expect(codeIn(cells.join())).toEqual(expect.arrayContaining(literalsOf('events/tracing.ts', declared, field)))
  })
})

describe('docs/debugging.md', () => {
  const page = readDocsPage('debugging')
  const first = (column: string) =>
    tablesOf(page, column).flatMap(({ rows }) => rows.flatMap((row) => codeIn(row[0] ?? '')))
  const quoted = (text: string) => [...text.matchAll(/'(\w+)'/g)].map((match) => match[1] as string)
  const source = readFileSync(join(LIB, 'request/debug/run-record.ts'), 'utf8')

  test('lists every reason why a plugin is skipped, and no other', () => {
    expect(sorted(first('reason in `skipped`'))).toEqual(
      sorted(quoted(/type SkipReason =[^=]*?\n\n/.exec(source)?.[0] ?? '')),
    )
  })

  test('lists every outcome, and no other', () => {
    expect(sorted(first('outcome'))).toEqual(
      sorted([...literalsOf('events/tracing.ts', 'PluginRunMessage', 'outcome'), 'running']),
    )
  })

  test('lists every field of a plugin, and no other', () => {
    const fields = membersOf('request/debug/headers.ts', 'Line').map(({ name }) => name)
    expect(sorted(first("field of the header's `plugins`"))).toEqual(sorted(fields))
  })
})

describe('docs/phases.md', () => {
  test('lists the phases in the order in which they run', () => {
    expect(namesIn(tablesOf(readDocsPage('phases'), 'phase'))).toEqual(PHASES)
  })
})

describe('docs/plugins.md', () => {
  test('lists every name that plugin code finds, and no other', () => {
    expect(sorted(namesIn(tablesOf(readDocsPage('plugins'), 'name')))).toEqual(sorted(ENVIRONMENT_NAMES))
  })

  test('lists every method of the store, and no other', () => {
    const methods = namesIn(tablesOf(readDocsPage('plugins'), 'method')).map((call) => /store\.(\w+)/.exec(call)?.[1])
    expect(sorted(methods as string[])).toEqual(sorted(membersOf('request/store.ts', 'Store').map(({ name }) => name)))
  })
})

describe('docs/document.md', () => {
  const page = readDocsPage('document')
  const shape = frameSchema.shape
  // Optional and nullable fields are wrapped twice.
  const inside = (schema: unknown) => (schema as { unwrap(): { unwrap(): unknown } }).unwrap().unwrap()
  const general = inside(shape.general) as z.ZodObject
  const variant = (inside(pluginSchema.shape.variants) as z.ZodArray<z.ZodObject>).element

  test.each([
    ['field', Object.keys(shape)],
    ['field of `general`', Object.keys(general.shape)],
    ['field of a domain', Object.keys(shape.domains.element.shape)],
    ['field of a plugin', Object.keys(pluginSchema.shape)],
    ['field of a variant', Object.keys(variant.shape)],
    ['key of `when`', Object.keys(conditionSchema.shape)],
    ['field of `rollout`', Object.keys(rolloutSchema.shape)],
  ])('lists every %s, and no other', (column, fields) => {
    expect(sorted(namesIn(tablesOf(page, column)))).toEqual(sorted(fields))
  })
})

describe('docs/guarded-rollouts.md', () => {
  const page = readDocsPage('guarded-rollouts')

  test.each([
    ['field of `stop_when`', Object.keys(stopWhenSchema.shape)],
    ['field of a step', Object.keys(stepSchema.shape)],
    ['condition with `above_control`', STOP_CONDITIONS],
  ])('lists every %s, and no other', (column, fields) => {
    const names = tablesOf(page, column).flatMap(({ rows }) => rows.flatMap((row) => codeIn(row[0] ?? '')))
    expect(sorted(names)).toEqual(sorted(fields))
  })

  test('says how often it may be wrong, and how it measures', () => {
    const text = readFileSync(join(ROOT, 'docs/guarded-rollouts.md'), 'utf8')
    expect(FALSE_STOPS).toBe(1 / 10_000)
    expect(text).toContain('1 in 10,000 per process')
  })
})

describe('docs/lifecycle.md', () => {
  const page = readDocsPage('lifecycle')
  const of = (column: string) => sorted(namesIn(tablesOf(page, column)).map((name) => name.replace(/\(.*/, '')))

  test('lists everything that the middleware carries, and no other', () => {
    expect(of('member')).toEqual(sorted(membersOf('dynacode.ts', 'Dynacode').map(({ name }) => name)))
  })

  test('lists every field of the status, and no other', async () => {
    const document = { domains: [{ name: '*', plugins: [{ name: 'p', phase: 'log', code: '' }] }] }
    const dyna = createInstance({ source: { fetch: async () => ({ bytes: Buffer.from(JSON.stringify(document)) }) } })
    await dyna.ready()
    const status = dyna.status()
    expect(of('field of the status')).toEqual(sorted(Object.keys(status)))
    expect(of('field of its `plugins`')).toEqual(sorted(Object.keys(status.plugins[0] ?? {})))
  })

  test('lists every field of a rollout in the status, and every count, and no other', () => {
    const fields = membersOf('control/status.ts', 'RolloutStatus').map(({ name }) => name)
    expect(of('field of its `rollout`')).toEqual(sorted(fields))
    const counts = createRolloutWatch(readStopWhen({ error_rate: 0.1 }, 1000), SYSTEM_CLOCK, () => undefined).counts()
    expect(of('count of `inside` and `control`')).toEqual(sorted(Object.keys(counts.inside)))
  })

  test('lists every state of a plugin in the status, and no other', () => {
    expect(of('state')).toEqual(sorted(literalsOf('control/status.ts', 'PluginStatus', 'state')))
  })
})

interface Member {
  readonly name: string
  readonly declaration: ts.TypeElement
}

/** What an interface of lib declares itself, read from its source. */
function membersOf(file: string, name: string): Member[] {
  const source = parseFile(file)
  const found = source.statements.find(
    (statement): statement is ts.InterfaceDeclaration =>
      ts.isInterfaceDeclaration(statement) && statement.name.text === name,
  )
  if (found === undefined) throw new Error(`lib/${file}: there is no interface ${name}`)
  return found.members.flatMap((declaration) =>
    declaration.name === undefined ? [] : [{ name: declaration.name.getText(source), declaration }],
  )
}

/** The strings that a field of an interface can be, there or in a type of the same file. */
function literalsOf(file: string, name: string, field: string): string[] {
  const declared = membersOf(file, name).find((member) => member.name === field)?.declaration as ts.PropertySignature
  const alias = declared
    .getSourceFile()
    .statements.find(
      (statement): statement is ts.TypeAliasDeclaration =>
        ts.isTypeAliasDeclaration(statement) && statement.name.text === declared.type?.getText(),
    )
  const text = (alias ?? declared).type?.getText() ?? ''
  const literals = [...text.matchAll(/'(\w+)'/g)].map((match) => match[1] as string)
  if (literals.length === 0) throw new Error(`lib/${file}: ${name}.${field} is no union of strings`)
  return literals
}

function parseFile(file: string): ts.SourceFile {
  const path = join(LIB, file)
  return ts.createSourceFile(path, readFileSync(path, 'utf8'), ts.ScriptTarget.Latest, true)
}

/** The payload fields of every event, as TypeScript sees them. Nothing but the one file is loaded for it. */
function fieldsOfEvents(): Record<string, string[]> {
  const path = join(LIB, 'events/table.ts')
  const program = ts.createProgram([path], { noLib: true, noResolve: true, types: [] })
  const checker = program.getTypeChecker()
  const table = program
    .getSourceFile(path)
    ?.statements.find(
      (statement): statement is ts.InterfaceDeclaration =>
        ts.isInterfaceDeclaration(statement) && statement.name.text === 'EventTable',
    )
  if (table === undefined) throw new Error('lib/events/table.ts: there is no interface EventTable')
  return Object.fromEntries(
    table.members.filter(ts.isPropertySignature).map((member) => {
      const type = checker.getTypeFromTypeNode(member.type as ts.TypeNode)
      return [member.name.getText(), sorted(checker.getPropertiesOfType(type).map((field) => field.name))]
    }),
  )
}

/** Every first group of the pattern in the sources of lib, each once. */
function findInLib(pattern: RegExp): string[] {
  const files = readdirSync(LIB, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'))
  return sorted(new Set(files.flatMap((file) => findIn(file, pattern))))
}

function findIn(file: string, pattern: RegExp): string[] {
  const source = readFileSync(join(LIB, file), 'utf8')
  return sorted(new Set([...source.matchAll(pattern)].map((match) => match[1] as string)))
}
