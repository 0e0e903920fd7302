/** A page of a list, and which one comes next. */
export interface Paged {
  readonly search?: string | undefined
  /** Id of the last entry of the page before. */
  readonly after?: number | undefined
  readonly limit: number
}

/** For `ilike`: what contains these very characters. */
export function toPattern(search: string): string {
  return `%${search.replace(/[\\%_]/g, '\\$&')}%`
}
