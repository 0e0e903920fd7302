import type { ChangeSet, LiveState } from '../../shared/changes.ts'

export function countChanges(count: number): string {
  return count === 1 ? '1 change' : `${count} changes`
}

/** How a plugin is switched, in words. */
export function describeMode({ enabled, mode, percent }: Pick<LiveState, 'enabled' | 'mode' | 'percent'>): string {
  if (!enabled) return 'off'
  return mode === 'shadow' ? 'shadow' : `${percent ?? 100} %`
}

/** The same of the fields of a plugin. */
export function modeOf(fields: Readonly<Record<string, unknown>>): Pick<LiveState, 'enabled' | 'mode' | 'percent'> {
  const percent = (fields.rollout as { percent?: unknown } | null | undefined)?.percent
  return {
    enabled: fields.enabled !== false,
    mode: fields.mode === 'shadow' ? 'shadow' : 'live',
    percent: typeof percent === 'number' ? percent : null,
  }
}

/** What became of a change set, and whether that is good. */
export function describeState(set: ChangeSet): { text: string; kind: '' | 'added' | 'removed' | 'changed' } {
  const { state, version, rolled_back_by, proposal } = set
  if (state === 'discarded') return { text: 'discarded', kind: '' }
  if (state === 'published')
    return rolled_back_by === null
      ? { text: `published as version ${version}`, kind: 'added' }
      : { text: `rolled back by version ${rolled_back_by}`, kind: 'removed' }
  if (proposal === null) return { text: 'open', kind: '' }
  return proposal.is_current
    ? { text: 'waiting for approval', kind: 'changed' }
    : { text: 'changed after it was proposed', kind: '' }
}

/** Address of a plugin's page. */
export function pluginPath(
  { domain, name, phase }: { domain: string; name: string; phase: string },
  set?: number,
): string {
  return `/plugin?${new URLSearchParams({ domain, name, phase, ...(set === undefined ? {} : { set: String(set) }) })}`
}
