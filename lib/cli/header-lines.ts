import { Failure } from './failure.ts'

/** Gathers the values of an option that can be given more than once. */
export function collectLines(line: string, before: readonly string[] = []): readonly string[] {
  return [...before, line]
}

/**
 * Reads header lines such as `Accept: text/html`, as curl takes them.
 *
 * @param option in which they came, for messages
 * @throws Failure; a line may hold a secret, so that only its name is shown
 */
export function readHeaderLines(lines: readonly string[], option: string): Record<string, string | string[]> {
  const headers: Record<string, string | string[]> = {}
  for (const line of lines) {
    const [, name, value] = /^([\w!#$%&'*+.^`|~-]+):[ \t]*([^\r\n\0]*)$/.exec(line) ?? []
    if (name === undefined || value === undefined) {
      const shown = line.includes(':') ? `${line.slice(0, line.indexOf(':') + 1)} …` : line
      throw new Failure(`${option}: expected a header such as "Accept: text/html", got ${JSON.stringify(shown)}`)
    }
    const key = name.toLowerCase()
    headers[key] = headers[key] === undefined ? value : [headers[key], value].flat()
  }
  return headers
}
