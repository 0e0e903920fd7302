import type { Rollout } from '../../shared/rollouts.ts'

/** How a rollout goes, in a word or two. */
export function stateOf({ state, percent, hold, step, steps }: Rollout): {
  text: string
  kind: '' | 'good' | 'warn' | 'bad'
} {
  if (state === 'stopped') return { text: 'stopped', kind: 'bad' }
  if (state === 'replaced') return { text: 'over: the plugin was changed', kind: '' }
  const at = step === null || steps === null ? '' : `, step ${step + 1} of ${steps.length}`
  if (hold !== null) return { text: `${percent} %${at}, on hold`, kind: 'warn' }
  return { text: `${percent} %${at}`, kind: 'good' }
}

/** A length of time as a plugin has it, in words. */
export function lengthInWords(text: string): string {
  const [, count = '', unit = ''] = /^(\d+)([smhd])$/.exec(text) ?? []
  const name = { s: 's', m: 'min', h: 'h', d: count === '1' ? 'day' : 'days' }[unit]
  return name === undefined ? text : `${count} ${name}`
}
