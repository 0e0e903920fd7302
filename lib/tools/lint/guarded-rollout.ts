import type { Fault, Lint } from './rule.ts'

/** Finds guards and steps of a rollout that do nothing. */
export const findGuardedRollout: Lint = ({ spec: { scope, shadow } }) => {
  const found: Fault[] = []
  if (scope.stop_when !== undefined && shadow) {
    const message = 'stop_when has no effect in shadow mode: no run counts'
    found.push({ rule: 'guarded-rollout', severity: 'note', message })
  }
  const never = scope.share?.schedule?.find(({ from }) => from >= (scope.expires_at ?? Number.POSITIVE_INFINITY))
  if (never !== undefined) {
    const begins = new Date(never.from).toISOString()
    const message = `the rollout never comes to its step of ${never.percent} percent, which begins at ${begins}: the plugin has expired by then`
    found.push({ rule: 'guarded-rollout', severity: 'warning', message })
  }
  return found
}
