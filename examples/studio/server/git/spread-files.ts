import { posix } from 'node:path'
import { unpack_document } from 'dynacode/tools'

type Fields = Readonly<Record<string, unknown>>

/** Files that are to be written, and those that are no longer named by the manifest. */
export interface FileChanges {
  readonly written: ReadonlyMap<string, string>
  readonly removed: readonly string[]
}

const MANIFEST = 'dynacode.json'

/**
 * Spreads a document over the files of a folder, so that as little as possible becomes different: a plugin keeps its file, and
 * code that is the same is not written, in TypeScript or not.
 *
 * @param text the document
 * @param known what is there: the files, and the document that they make up; undefined where there is none yet
 */
export function spreadFiles(
  text: string,
  known: { readonly files: ReadonlyMap<string, string>; readonly text: string } | undefined,
): FileChanges {
  const spread = unpack_document(text)
  const manifest = JSON.parse(spread.get(MANIFEST) as string)
  const old =
    known === undefined
      ? undefined
      : { manifest: JSON.parse(known.files.get(MANIFEST) as string), codes: indexCodes(JSON.parse(known.text)) }
  const places = old === undefined ? new Map<string, string>() : indexFiles(old.manifest)
  const written = new Map<string, string>()
  const codeOf = new Map<string, string>()

  const owners = [...ownersOf(manifest)].filter(({ owner }) => typeof owner.file === 'string')
  const keep = (owner: Record<string, unknown>, file: string, code: string) => {
    owner.file = file
    codeOf.set(file, code)
  }
  const changed = owners.filter(({ key, owner }) => {
    const [place, code] = [places.get(key), spread.get(owner.file as string) as string]
    if (place === undefined || old?.codes.get(key) !== code) return true
    keep(owner, place, code)
    return false
  })
  // Only now: a file that several share is not for one of them to change.
  for (const { key, owner } of changed) {
    const [place, code] = [places.get(key), spread.get(owner.file as string) as string]
    const may_write = place !== undefined && /\.[cm]?js$/.test(place) && (codeOf.get(place) ?? code) === code
    const file = may_write ? place : choose(owner.file as string, code, codeOf, known?.files, places)
    keep(owner, file, code)
    if (known?.files.get(file) !== code) written.set(file, code)
  }
  const content = `${JSON.stringify(manifest, undefined, 2)}\n`
  if (known?.files.get(MANIFEST) !== content) written.set(MANIFEST, content)
  return { written, removed: [...new Set(places.values())].filter((file) => !codeOf.has(file) && file !== MANIFEST) }
}

/** A name that is nobody's: neither of another plugin nor of a file that is there for something else. */
function choose(
  wanted: string,
  code: string,
  taken: ReadonlyMap<string, string>,
  files: ReadonlyMap<string, string> | undefined,
  places: ReadonlyMap<string, string>,
): string {
  const used = new Set(places.values())
  for (let number = 1; ; number += 1) {
    const file = number === 1 ? wanted : wanted.replace(/\.js$/, `-${number}.js`)
    if (taken.get(file) === code) return file
    if (!taken.has(file) && !used.has(file) && !files?.has(file)) return file
  }
}

interface Owner {
  readonly key: string
  readonly owner: Record<string, unknown>
}

/** Everything of a manifest that may name a file, by what it is known by; shared plugins are nobody's. */
function* ownersOf(manifest: {
  readonly domains: readonly { readonly name: string; readonly plugins?: readonly unknown[] | null }[]
}): Generator<Owner> {
  for (const { name: domain, plugins } of manifest.domains) {
    for (const plugin of plugins ?? []) {
      if (typeof plugin !== 'object' || plugin === null) continue
      const owner = plugin as Record<string, unknown>
      const key = [domain, owner.name, owner.phase]
      yield { key: JSON.stringify(key), owner }
      for (const variant of (owner.variants ?? []) as Record<string, unknown>[]) {
        yield { key: JSON.stringify([...key, variant.name]), owner: variant }
      }
    }
  }
}

function indexFiles(manifest: Parameters<typeof ownersOf>[0]): Map<string, string> {
  const named = [...ownersOf(manifest)].filter(({ owner }) => typeof owner.file === 'string')
  return new Map(named.map(({ key, owner }) => [key, posix.normalize(owner.file as string)]))
}

function indexCodes(document: Parameters<typeof ownersOf>[0]): ReadonlyMap<string, unknown> {
  return new Map([...ownersOf(document)].map(({ key, owner }: { key: string; owner: Fields }) => [key, owner.code]))
}
