import { createHash } from 'node:crypto'
import { check_document, type Finding } from 'dynacode/tools'
import { findStepsFault } from '../rollouts/steps.ts'

/** Checks documents one after the other, and only what is new in them since the one before. */
export type CheckDocument = (text: string) => Promise<readonly Finding[]>

/** A document as the studio makes it: every plugin stands in its domain, whole. */
interface Plain {
  readonly domains: readonly { readonly name: string; readonly plugins: readonly Entry[] }[]
}
type Entry = Readonly<Record<string, unknown>>

/** More of them, and it is for the check of the whole to say whether a document may be so large. */
const MOST_PLUGINS = 100_000

/**
 * Makes a check that remembers what it found in a plugin, by its content, for as long as a document has that plugin.
 *
 * @param globals names of the apps' own that plugins may use
 */
export function createCheck(globals: readonly string[]): CheckDocument {
  let known = new Map<string, readonly Finding[]>()
  /** What is said of the check itself, such as what it cannot look at: once for each document. */
  let remarks: readonly Finding[] = []

  return async function check(text) {
    const document = readPlain(text)
    if (document === undefined) return (await check_document(text, { globals })).findings
    const keys = document.domains.map(({ plugins }) => plugins.map(keyOf))
    const { reduced, places } = reduce(document, keys, known)
    const { findings } = await check_document(reduced, { globals })

    const next = new Map(keys.flat().map((key) => [key, known.get(key) ?? []]))
    const others: Finding[] = []
    for (const finding of findings) {
      const [, domain, plugin] = /^domains\[(\d+)\](?:\.plugins\[(\d+)\])?/.exec(finding.path) ?? []
      const place = places[Number(domain)]
      if (place === undefined) others.push(finding)
      else if (plugin === undefined)
        others.push({ ...finding, path: finding.path.replace(/^domains\[\d+\]/, `domains[${place.domain}]`) })
      else {
        const key = keys[place.domain]?.[place.plugins[Number(plugin)] as number] as string
        next.set(key, [...(next.get(key) ?? []), finding])
      }
    }
    known = next
    const about_check = others.filter(({ rule, domain }) => rule === 'slow-expression' && domain === null)
    if (about_check.length > 0) remarks = about_check
    return [
      ...others.filter((finding) => !about_check.includes(finding)),
      ...findStepsFaults(document),
      ...spread(document, keys, known),
      ...remarks,
    ]
  }
}

/** What is wrong with steps that the studio is to take: dynacode knows nothing of them. */
function* findStepsFaults({ domains }: Plain): Iterable<Finding> {
  for (const [at, { name: domain, plugins }] of domains.entries()) {
    for (const [index, plugin] of plugins.entries()) {
      const fault = findStepsFault(plugin)
      if (fault === undefined) continue
      const [name, phase] = [String(plugin.name), String(plugin.phase)]
      const place = { plugin: name, domain, phase, path: `domains[${at}].plugins[${index}].x-steps` }
      yield {
        rule: 'steps',
        severity: 'error',
        message: `x-steps: ${fault}`,
        ...place,
        file: null,
        line: null,
        column: null,
      }
    }
  }
}

/** The document with no more plugins than those that nothing is known of, each once, and where they stood. */
function reduce(
  { domains, ...frame }: Plain,
  keys: readonly (readonly string[])[],
  known: ReadonlyMap<string, unknown>,
) {
  const asked = new Set<string>()
  const places: { domain: number; plugins: number[] }[] = []
  const reduced = domains.map(({ name, plugins }, domain) => {
    const wanted = plugins.flatMap((_, at) => {
      const key = keys[domain]?.[at] as string
      if (known.has(key) || asked.has(key)) return []
      asked.add(key)
      return [at]
    })
    places.push({ domain, plugins: wanted })
    return { name, plugins: wanted.map((at) => plugins[at]) }
  })
  return { reduced: { ...frame, domains: reduced }, places }
}

/** What was found in plugins, told where they stand now. What the code is found to do is told once, as `dynacode check` does. */
function* spread(
  { domains }: Plain,
  keys: readonly (readonly string[])[],
  known: ReadonlyMap<string, readonly Finding[]>,
) {
  const told = new Set<string>()
  for (const [at, { name }] of domains.entries()) {
    for (const [index, key] of (keys[at] as readonly string[]).entries()) {
      const is_told = told.has(key)
      told.add(key)
      for (const finding of known.get(key) ?? []) {
        if (is_told && finding.rule !== 'document') continue
        const path = finding.path.replace(/^domains\[\d+\]\.plugins\[\d+\]/, `domains[${at}].plugins[${index}]`)
        yield { ...finding, domain: name, path }
      }
    }
  }
}

/** Undefined for what has shared plugins, or names twice, so that plugins cannot be looked at each by itself. */
function readPlain(text: string): Plain | undefined {
  const document = JSON.parse(text) as { plugins?: unknown; domains?: unknown }
  if (document.plugins != null || !Array.isArray(document.domains)) return undefined
  const names = new Set<string>()
  let count = 0
  for (const domain of document.domains as readonly (Entry | null)[]) {
    const { name, plugins } = domain ?? {}
    if (typeof name !== 'string' || names.has(name) || !Array.isArray(plugins)) return undefined
    names.add(name)
    count += plugins.length
    const taken = new Set(plugins.map((plugin) => JSON.stringify([plugin?.name, plugin?.phase])))
    if (taken.size < plugins.length || !plugins.every(isWhole)) return undefined
  }
  return count > MOST_PLUGINS || names.size > MOST_PLUGINS ? undefined : (document as Plain)
}

function isWhole(plugin: Entry | null): boolean {
  return typeof plugin === 'object' && plugin !== null && (plugin.code != null || plugin.variants != null)
}

function keyOf(plugin: Entry): string {
  return createHash('sha1').update(JSON.stringify(plugin)).digest('base64')
}
