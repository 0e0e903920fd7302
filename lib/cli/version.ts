import { readFileSync } from 'node:fs'

/** The version of the package, in `lib` as in `dist`. */
export function readVersion(): string {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))
  return String(version)
}
