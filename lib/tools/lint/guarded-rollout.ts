import type { Lint } from './rule.ts'

/** Finds guards of a rollout that do nothing. */
export const findGuardedRollout: Lint = ({ spec }) => {
  if (spec.scope.stop_when === undefined || !spec.shadow) return []
  const message = 'stop_when has no effect in shadow mode: no run counts'
  return [{ rule: 'guarded-rollout', severity: 'note', message }]
}
