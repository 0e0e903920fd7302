import { applyEdits, digestOf, type GivenEdit } from './apply-edits.ts'
import { isSame, keyOf, type PlainDocument } from './plain-document.ts'

/** The edits that make one document of another. */
export function findEdits(live: PlainDocument, wanted: PlainDocument): GivenEdit[] {
  const nothing = { domain: '', name: '', phase: '' }
  const edits: GivenEdit[] = []
  if (!isSame(live.general, wanted.general))
    edits.push({ kind: 'general', ...nothing, base: live.general, after: wanted.general })
  const index = ({ domains }: PlainDocument) => new Map(domains.map((each) => [each.name, each]))
  const [old, now] = [index(live), index(wanted)]
  for (const [domain, known] of old) {
    if (!now.has(domain)) edits.push({ kind: 'domain', ...nothing, domain, base: digestOf(known), after: null })
  }
  for (const [domain, { plugins }] of now) {
    if (!old.has(domain)) edits.push({ kind: 'domain', ...nothing, domain, base: null, after: {} })
    const before = new Map(old.get(domain)?.plugins.map((each) => [keyOf(each), each]))
    const after = new Map(plugins.map((each) => [keyOf(each), each]))
    for (const [key, { name, phase, fields }] of before)
      if (!after.has(key)) edits.push({ kind: 'plugin', domain, name, phase, base: fields, after: null })
    for (const [key, { name, phase, fields }] of after) {
      const base = before.get(key)?.fields ?? null
      if (!isSame(base, fields)) edits.push({ kind: 'plugin', domain, name, phase, base, after: fields })
    }
  }
  return [...edits, ...findOrders(applyEdits(live, edits).document, wanted)]
}

function findOrders(made: PlainDocument, wanted: PlainDocument): GivenEdit[] {
  const order = (domain: string, is: readonly string[], should: readonly string[]): GivenEdit[] =>
    is.join('\n') === should.join('\n') ? [] : [{ kind: 'order', domain, name: '', phase: '', base: is, after: should }]
  const names = (document: PlainDocument) => document.domains.map(({ name }) => name)
  const known = new Map(made.domains.map((each) => [each.name, each.plugins.map(keyOf)]))
  return [
    ...order('', names(made), names(wanted)),
    ...wanted.domains.flatMap(({ name, plugins }) => order(name, known.get(name) ?? [], plugins.map(keyOf))),
  ]
}

/** Plugins that are not the same in two documents, by what they are known by. */
export function findChangedPlugins(
  before: PlainDocument,
  after: PlainDocument,
): { domain: string; name: string; phase: string; is_there: boolean }[] {
  const index = ({ domains }: PlainDocument) =>
    new Map(
      domains.flatMap(({ name: domain, plugins }) =>
        plugins.map((each) => [JSON.stringify([domain, each.name, each.phase]), { domain, ...each }] as const),
      ),
    )
  const [old, now] = [index(before), index(after)]
  return [...new Set([...old.keys(), ...now.keys()])].flatMap((key) => {
    const [was, is] = [old.get(key), now.get(key)]
    const { domain, name, phase } = (is ?? was) as NonNullable<typeof is>
    return isSame(was?.fields, is?.fields) && (was === undefined) === (is === undefined)
      ? []
      : [{ domain, name, phase, is_there: is !== undefined }]
  })
}
