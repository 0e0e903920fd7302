import { isObject } from './condition-form.ts'

/** One of several codes that share the traffic, as the form has it. */
export interface VariantForm {
  readonly name: string
  readonly percent: string
  readonly code: string
}

const PLACES: Readonly<Record<string, string>> = { name: 'string', percent: 'number', code: 'string' }

/** Whether the form has a place for everything that stands in `variants`. */
export function isVariants(value: unknown): boolean {
  return (
    Array.isArray(value) &&
    value.length > 0 &&
    value.every((each) => isObject(each) && Object.entries(each).every(([key, part]) => typeof part === PLACES[key]))
  )
}

export function readVariants(value: unknown): readonly VariantForm[] {
  return (value as Record<string, unknown>[]).map(({ name = '', percent, code = '' }) => ({
    name: String(name),
    percent: percent === undefined ? '' : String(percent),
    code: String(code),
  }))
}

/** @param problems is given what is wrong, by field */
export function writeVariants(variants: readonly VariantForm[], problems: Record<string, string>): unknown[] {
  const seen = new Set<string>()
  return variants.map(({ name, percent, code }, index) => {
    const trimmed = name.trim()
    if (trimmed === '') problems[`variants[${index}].name`] = 'expected a name'
    else if (seen.has(trimmed)) problems[`variants[${index}].name`] = 'is the name of another variant'
    seen.add(trimmed)
    const share = Number(percent)
    if (percent.trim() === '' || !Number.isFinite(share))
      problems[`variants[${index}].percent`] =
        `expected a number, got ${percent.trim() === '' ? 'nothing' : `“${percent}”`}`
    return { name: trimmed, percent: Number.isFinite(share) ? share : 0, code }
  })
}

/** What the shares leave over; it runs none of them. */
export function restOf(variants: readonly VariantForm[]): number {
  return 100 - variants.reduce((sum, { percent }) => sum + (Number(percent) || 0), 0)
}
