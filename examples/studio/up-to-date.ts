import { createHash, type Hash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** Something that is made of files. */
export interface Step {
  /** For people. */
  readonly name: string
  /** Files and folders that it is made of; one that is not there counts as empty. */
  readonly inputs: readonly string[]
  /** A file that is written anew whenever it is made. */
  readonly output: string
  /** Throws when it cannot be made. */
  make(): void
}

/** What was made by its name: a hash of the inputs, and what the output was then. */
type Made = Record<string, { readonly of: string; readonly output: string | undefined }>

/**
 * Makes what is not up to date, one after the other: what has other inputs than when it was made here last, or whose output
 * somebody has removed, or made otherwise since. A step is made of those before it, too.
 *
 * @param file where it is written down what was made of what
 * @param making told of each step before it is made
 */
export function bringUpToDate(steps: readonly Step[], file: string, making: (name: string) => void): void {
  const made = readMade(file)
  let before = process.version
  for (const { name, inputs, output, make } of steps) {
    const hash = createHash('sha256').update(before)
    for (const input of inputs) addTo(hash, input)
    before = hash.digest('hex')
    if (made[name]?.of === before && made[name].output === identify(output)) continue
    making(name)
    make()
    made[name] = { of: before, output: identify(output) }
    // Each at once: who stops the next step does not make this one again.
    writeFileSync(file, JSON.stringify(made))
  }
}

/** What is no JSON says nothing: all is made anew. */
function readMade(file: string): Made {
  try {
    const made = JSON.parse(readFileSync(file, 'utf8'))
    return typeof made === 'object' && made !== null ? made : {}
  } catch {
    return {}
  }
}

/** By its content: a checkout touches files that are the same. */
function addTo(hash: Hash, path: string): void {
  if (!existsSync(path)) return
  const files = statSync(path).isDirectory()
    ? readdirSync(path, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => join(entry.parentPath, entry.name))
        .sort()
    : [path]
  for (const each of files) hash.update(`${each}\0`).update(readFileSync(each)).update('\0')
}

function identify(output: string): string | undefined {
  if (!existsSync(output)) return undefined
  const { mtimeMs, size } = statSync(output)
  return `${mtimeMs} ${size}`
}
