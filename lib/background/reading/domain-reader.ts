import {
  type Domain,
  MAX_NAME_LENGTH,
  type PluginSpec,
  type RefusedDomain,
  type RefusedPlugin,
} from '../../document.ts'
import { DocumentError } from '../../errors.ts'
import { type HostPattern, readHostPattern } from '../../matching/host-pattern.ts'
import type { Steps } from '../../time/steps.ts'
import { describeValue } from '../../validation/schema-error.ts'
import { findMisspelledInDomain } from './misspelled.ts'
import { readPlugins, type Shared } from './plugin-reader.ts'
import type { PluginDefaults } from './plugin-specs.ts'
import { joinUnits } from './units.ts'

/** A domain as it stands in the document. */
export interface RawDomain {
  readonly name: string
  readonly plugins?: unknown
}

/** The paths of the plugins of all domains of one name, by what these are called. */
export type TakenNames = Map<string, string>

/** As the schema of the frame has it. */
export function isNamed(raw: unknown): raw is RawDomain {
  if (typeof raw !== 'object' || raw === null || Array.isArray(raw)) return false
  const { name } = raw as { name?: unknown }
  return typeof name === 'string' && name !== ''
}

/** Reads the document's `skip_domains`. */
export function readSkipped(entries: readonly unknown[], faults: DocumentError[]): HostPattern[] {
  return entries.flatMap((entry, index) => {
    const pattern = readPattern(entry, `general.skip_domains[${index}]`)
    if (!(pattern instanceof DocumentError)) return [pattern]
    faults.push(pattern)
    return []
  })
}

function readPattern(name: unknown, path: string): HostPattern | DocumentError {
  if (typeof name !== 'string' || name === '' || name.length > MAX_NAME_LENGTH) {
    return new DocumentError(
      path,
      `expected a string of 1 to ${MAX_NAME_LENGTH} characters, got ${describeValue(name)}`,
    )
  }
  try {
    return readHostPattern(name)
  } catch (cause) {
    return new DocumentError(
      path,
      `${describeValue(name)} is not a valid regular expression: ${(cause as Error).message}`,
      {
        cause,
      },
    )
  }
}

/** Reads one domain. */
export function* readDomain(
  raw: RawDomain,
  path: string,
  shared: Shared,
  taken: TakenNames,
  defaults: PluginDefaults,
): Steps<Domain | RefusedDomain> {
  const { name, plugins } = raw
  const pattern = findMisspelledInDomain(raw, path) ?? readPattern(name, `${path}.name`)
  if (pattern instanceof DocumentError) return Object.freeze({ name, error: pattern })
  if (!Array.isArray(plugins)) {
    const error = new DocumentError(`${path}.plugins`, `expected an array, got ${describeValue(plugins)}`)
    return Object.freeze({ name, error })
  }
  const read: (PluginSpec | RefusedPlugin)[] = []
  for (const [index, raw] of plugins.entries()) {
    for (const plugin of readPlugins(raw, name, `${path}.plugins[${index}]`, shared, defaults)) {
      read.push('error' in plugin ? plugin : refuseDuplicate(plugin, taken))
    }
    yield
  }
  return Object.freeze({ name, pattern, plugins: Object.freeze(joinUnits(read, path, taken)) })
}

/** A plugin is known by its domain, name and phase; a second one of the same could not be told from the first. */
function refuseDuplicate(plugin: PluginSpec, taken: TakenNames): PluginSpec | RefusedPlugin {
  const key = `${plugin.phase} ${plugin.name}`
  const first = taken.get(key)
  if (first === undefined) {
    taken.set(key, plugin.path)
    return plugin
  }
  const message = `the domain has a plugin ${describeValue(plugin.name)} in the phase ${plugin.phase} already (${first})`
  return Object.freeze({ ...plugin, error: new DocumentError(`${plugin.path}.name`, message) })
}
