import type { z } from 'zod'
import { createSuggester, type Suggester } from './suggestion.ts'

/** The fields that a value may have, however deep. */
export interface Shape {
  /** Of an object, each with the shape of what it holds. */
  readonly fields?: ReadonlyMap<string, Shape | undefined>
  /** Finds the field that another one may be a misspelling of. */
  readonly suggester?: Suggester
  /** Whether its schema refuses any other field. */
  readonly is_strict?: boolean
  /** Of each item of an array. */
  readonly items?: Shape | undefined
  /** Of each value of an object whose keys are free. */
  readonly values?: Shape | undefined
}

/** A field that is not known. */
export interface UnknownField {
  /** From the checked value on. */
  readonly path: readonly (string | number)[]
  /** The field that it is close to; undefined: it is like none. */
  readonly meant: string | undefined
  /** Whether its schema refuses it whatever it is like. */
  readonly is_strict: boolean
}

/** Fields of others' own: they are never looked at. */
const isFree = (name: string) => name.startsWith('x-')

/** The fields that a schema knows; undefined where it knows none. */
export function shapeOf(schema: z.core.$ZodType): Shape | undefined {
  const { def } = (schema as z.core.$ZodTypes)._zod
  switch (def.type) {
    case 'object': {
      const fields = new Map(Object.entries(def.shape).map(([name, field]) => [name, shapeOf(field)]))
      // What is for editors alone is nobody's meaning.
      const suggester = createSuggester([...fields.keys()].filter((name) => !name.startsWith('$')))
      return { fields, suggester, is_strict: def.catchall?._zod.def.type === 'never' }
    }
    case 'array':
      return around('items', shapeOf(def.element))
    case 'record':
      return around('values', shapeOf(def.valueType))
    case 'union': {
      const shapes = def.options.flatMap((option) => shapeOf(option) ?? [])
      return shapes.length === 0 ? undefined : Object.assign({}, ...shapes)
    }
    case 'optional':
    case 'nullable':
    case 'default':
    case 'catch':
      return shapeOf(def.innerType)
    default:
      return undefined
  }
}

const around = (key: 'items' | 'values', shape: Shape | undefined) =>
  shape === undefined ? undefined : { [key]: shape }

/** Finds the fields of a value that are not known, in their order. */
export function* findUnknownFields(
  value: unknown,
  shape: Shape | undefined,
  path: readonly (string | number)[] = [],
): Generator<UnknownField, void> {
  if (shape === undefined || typeof value !== 'object' || value === null) return
  if (Array.isArray(value)) {
    if (shape.items === undefined) return
    for (const [index, item] of value.entries()) yield* findUnknownFields(item, shape.items, [...path, index])
    return
  }
  const { fields, suggester, is_strict = false, values } = shape
  for (const [name, inner] of Object.entries(value)) {
    if (fields?.has(name) !== false) {
      const next = fields === undefined ? values : fields.get(name)
      if (next !== undefined) yield* findUnknownFields(inner, next, [...path, name])
    } else if (is_strict || !isFree(name)) {
      yield { path: [...path, name], meant: suggester?.(name), is_strict }
    }
  }
}

/** The first field that must not be let by: it is close to one that is known, or its schema is strict. */
export function findMisspelled(value: unknown, shape: Shape | undefined): UnknownField | undefined {
  for (const field of findUnknownFields(value, shape)) {
    if (field.meant !== undefined || field.is_strict) return field
  }
  return undefined
}

/** What to say of a field that is not known. */
export function describeUnknown({ meant }: Pick<UnknownField, 'meant'>): string {
  return `unknown field${meant === undefined ? '' : `. Did you mean \`${meant}\`?`}`
}
