import type { LivePlugin, Program, ProgramDomain } from '../program.ts'
import { KNOWN_STRETCH, type Steps } from '../time/steps.ts'
import { keyOf } from './earlier-versions.ts'
import type { PartlyRead } from './reading/validator.ts'

/** The domains of the program before that do not go on as they are. */
export function* listChanged(document: PartlyRead, previous: Program | null): Steps<readonly ProgramDomain[]> {
  const before = previous?.domains ?? []
  if (document.edited !== undefined) return document.edited.map((place) => before[place] as ProgramDomain)
  const going = new Set<ProgramDomain>()
  const places: number[] = []
  // Nearly always it goes on at its place; then there is nothing to look for.
  for (const [at, part] of document.domains.entries()) {
    if (!('domain' in part) || part.domain !== before[at]) places.push(at)
    if ('domain' in part && part.domain !== before[at]) going.add(part.domain)
    if (at % KNOWN_STRETCH === 0) yield
  }
  for (let at = document.domains.length; at < before.length; at += 1) places.push(at)
  const changed: ProgramDomain[] = []
  for (const place of places) {
    const domain = before[place]
    if (domain !== undefined && !going.has(domain)) changed.push(domain)
    if (place % KNOWN_STRETCH === 0) yield
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
