import { compare_documents, type Difference } from 'dynacode/tools'

interface Domain {
  readonly name: string
  readonly [field: string]: unknown
}
interface Document {
  readonly general?: Readonly<Record<string, unknown>>
  readonly domains: readonly Domain[]
  readonly plugins?: unknown
}

/**
 * Compares two documents, by those of their domains alone that are not the same text. What every version has of its own, its
 * number and its end, is no difference.
 *
 * @throws DocumentError when one of them is refused as a whole
 */
export function compareTexts(before: string, after: string): readonly Difference[] {
  const [old, now] = [JSON.parse(before), JSON.parse(after)] as [Document, Document]
  const { version, expires } = old.general ?? {}
  const stamped = { ...now, general: { ...now.general, version, expires } }
  const kept = old.plugins == null && now.plugins == null ? findSame(old, now) : new Set<string>()
  const leave = (document: Document) => ({
    ...document,
    domains: document.domains.filter(({ name }) => !kept.has(name)),
  })
  return compare_documents(leave(old) as never, leave(stamped) as never)
}

function findSame(old: Document, now: Document): ReadonlySet<string> {
  const texts = new Map(old.domains.map((domain) => [domain.name, JSON.stringify(domain)]))
  const same = now.domains.filter((domain) => texts.get(domain.name) === JSON.stringify(domain))
  const twice = [old, now].some(({ domains }) => new Set(domains.map(({ name }) => name)).size < domains.length)
  return new Set(twice ? [] : same.map(({ name }) => name))
}
