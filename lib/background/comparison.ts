import type { LivePlugin, Program, ProgramDomain } from '../program.ts'
import type { Steps } from '../time/steps.ts'
import { keyOf } from './earlier-versions.ts'
import type { PartlyRead } from './reading/validator.ts'

/** The domains of the program before that do not go on as they are. */
export function* listChanged(document: PartlyRead, previous: Program | null): Steps<readonly ProgramDomain[]> {
  const going = new Set<ProgramDomain>()
  for (const part of document.domains) {
    if ('domain' in part) going.add(part.domain)
    yield
  }
  const changed: ProgramDomain[] = []
  for (const domain of previous?.domains ?? []) {
    if (!going.has(domain)) changed.push(domain)
    yield
  }
  return changed
}

/** The plugins that are not live any more, how many of them are not in the document in any version, and how many are there now. */
export function* compare(
  before: readonly ProgramDomain[],
  after: readonly ProgramDomain[],
): Steps<{ replaced: readonly LivePlugin[]; removed: number; added: number }> {
  let added = 0
  const alive = new Set<LivePlugin>()
  const keys = new Set<string>()
  for (const { plugins } of after) {
    for (const plugin of plugins) {
      added += 1
      alive.add(plugin)
      keys.add(keyOf(plugin.spec))
      yield
    }
  }
  const replaced: LivePlugin[] = []
  let removed = 0
  for (const { plugins } of before) {
    for (const plugin of plugins) {
      if (!alive.has(plugin)) replaced.push(plugin)
      if (!plugin.guard && !keys.has(keyOf(plugin.spec))) removed += 1
      yield
    }
  }
  return { replaced, removed, added }
}
