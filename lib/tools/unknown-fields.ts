import { describeUnknown, findUnknownFields, shapeOf } from '../validation/known-fields.ts'
import { formatPath } from '../validation/schema-error.ts'
import { documentSchema } from './document-schema.ts'
import { createFinding, type Finding, type Located } from './finding.ts'

const SHAPE = shapeOf(documentSchema)

/**
 * Finds the fields of a document, or of a folder's manifest, that dynacode does not know.
 *
 * @param refused the paths at which something is refused: what stands there is not said twice
 */
export function listUnknownFields(document: unknown, refused: ReadonlySet<string>): readonly Located[] {
  return [...findUnknownFields(document, SHAPE)].flatMap(({ path: keys, meant }) => {
    const path = formatPath(keys)
    if (refused.has(path)) return []
    const message = `${describeUnknown({ meant })}${meant === undefined ? ': dynacode ignores it. Begin its name with `x-` if it is yours' : ''}`
    return [createFinding({ rule: 'unknown-field', severity: 'warning', message, path, ...ownerOf(document, keys) })]
  })
}

/** The plugin and domain that a path leads into. */
function ownerOf(document: unknown, path: readonly (string | number)[]): Partial<Finding> {
  const at = (length: number): unknown =>
    path.slice(0, length).reduce<unknown>((value, key) => (value as Record<string, unknown>)[key], document)
  const is_in_domain = path[0] === 'domains'
  const plugin = path[is_in_domain ? 2 : 0] === 'plugins' ? at(is_in_domain ? 4 : 2) : undefined
  const text = (owner: unknown, key: string) => {
    const value = (owner as Record<string, unknown> | undefined)?.[key]
    return typeof value === 'string' ? value : null
  }
  return {
    domain: is_in_domain ? text(at(2), 'name') : null,
    plugin: text(plugin, 'name'),
    phase: text(plugin, 'phase'),
  }
}
