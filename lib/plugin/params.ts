type Fields = Readonly<Record<string, unknown>>

/** Nothing that anybody reads goes deeper; what does is not looked at. */
const MAX_DEPTH = 20

/**
 * Describes `params` as a type: of every field that any of them has. One that others lack may be undefined; one that none
 * has is not there. Without any field, nothing is said.
 */
export function describeParams(all: readonly Fields[]): string {
  const given = all.filter((params) => Object.keys(params).length > 0)
  return given.length === 0 ? 'Readonly<Record<string, any>>' : describeFields(given, all.length, 0)
}

/** @param count of how many these are all that have any fields */
function describeFields(all: readonly Fields[], count: number, depth: number): string {
  const names = new Set(all.flatMap((fields) => Object.keys(fields)))
  const members = [...names].map((name) => {
    const values = all.flatMap((fields) => (Object.hasOwn(fields, name) ? [fields[name]] : []))
    const optional = values.length < count ? '?' : ''
    return `readonly ${JSON.stringify(name)}${optional}: ${describeValues(values, depth + 1)}`
  })
  return `{ ${members.join('; ')} }`
}

function describeValues(values: readonly unknown[], depth: number): string {
  if (depth > MAX_DEPTH) return 'any'
  const lists = values.filter(Array.isArray)
  const objects = values.filter((value) => typeof value === 'object' && value !== null && !Array.isArray(value))
  const rest = values.filter((value) => typeof value !== 'object' || value === null)
  const types = new Set<string>(rest.map((value) => (value === null ? 'null' : typeof value)))
  if (lists.length > 0) types.add(`readonly (${describeValues(lists.flat(), depth + 1)})[]`)
  if (objects.length > 0) types.add(describeFields(objects as Fields[], objects.length, depth))
  // An empty list, or nothing but null, says nothing of what may be there.
  return types.size === 0 || (types.size === 1 && types.has('null')) ? 'any' : [...types].join(' | ')
}
