import { domainSchema, frameSchema, pluginSchema } from '../../document.ts'
import { DocumentError } from '../../errors.ts'
import { describeUnknown, findMisspelled, type Shape, shapeOf } from '../../validation/known-fields.ts'
import { formatPath } from '../../validation/schema-error.ts'

const FRAME = shapeOf(frameSchema)
const DOMAIN = shapeOf(domainSchema)
const PLUGIN = shapeOf(pluginSchema)

/**
 * Refuses a document in whose frame a field is misspelled: without that field it may be for more requests than it was meant.
 *
 * @throws DocumentError
 */
export function refuseMisspelledFrame(frame: object): void {
  // The items of its lists are looked at one by one.
  const fault = faultIn({ ...frame, domains: undefined, plugins: undefined }, FRAME, '')
  if (fault !== undefined) throw fault
}

/** What is wrong with the name of a domain's own field. */
export function findMisspelledInDomain(raw: object, path: string): DocumentError | undefined {
  return faultIn(raw, DOMAIN, path)
}

/** What is wrong with the name of a plugin's field, or of one below it; also of what refers to a plugin. */
export function findMisspelledInPlugin(raw: unknown, path: string): DocumentError | undefined {
  return faultIn(raw, PLUGIN, path)
}

/** The fields of a plugin by the names that were meant: what is said of one that is refused. */
export function asMeant(raw: unknown): Readonly<Record<string, unknown>> {
  if (typeof raw !== 'object' || raw === null || Array.isArray(raw)) return {}
  const { fields, suggester } = PLUGIN as Required<Shape>
  const meant = Object.entries(raw).flatMap(([name, value]) => {
    const other = fields.has(name) ? undefined : suggester(name)
    return other === undefined || Object.hasOwn(raw, other) ? [] : [[other, value] as const]
  })
  return { ...raw, ...Object.fromEntries(meant) }
}

function faultIn(value: unknown, shape: Shape | undefined, path: string): DocumentError | undefined {
  const found = findMisspelled(value, shape)
  if (found === undefined) return undefined
  const inner = formatPath(found.path)
  return new DocumentError(path === '' ? inner : `${path}.${inner}`, describeUnknown(found))
}
