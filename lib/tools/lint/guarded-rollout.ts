import type { Lint } from './rule.ts'

/** Finds guards of a rollout that do nothing, or take away what others rely on. */
export const findGuardedRollout: Lint = ({ spec }) => {
  if (spec.scope.stop_when === undefined) return []
  const about = { rule: 'guarded-rollout', severity: 'note' } as const
  if (spec.shadow) return [{ ...about, message: 'stop_when has no effect in shadow mode: no run counts' }]
  if (spec.on_failure === 'open') return []
  const message =
    'this plugin fails closed, but once its rollout stops itself (stop_when), every request passes without it'
  return [{ ...about, message }]
}
