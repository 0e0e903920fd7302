import type { Rollout } from '../../shared/rollouts.ts'
import { Ago } from '../parts/time.tsx'
import { lengthInWords } from './words.ts'

/** The steps that the studio takes by itself, and where it is. */
export function RolloutSteps({ of: { steps, step, due_at, state, hold, percent } }: { of: Rollout }) {
  if (steps === null)
    return <p class="hint">It has no steps: the share stays at {percent} % until somebody changes it.</p>
  return (
    <section aria-label="Steps">
      <h2>Steps</h2>
      <ol class="rollout-steps">
        {steps.map((each, at) => {
          const is_now = state !== 'replaced' && at === step
          return (
            <li
              key={each.percent}
              class={is_now ? 'now' : step !== null && at < step ? 'past' : ''}
              aria-current={is_now ? 'step' : undefined}
            >
              <b>{each.percent} %</b>
              <small>{each.for === null ? 'until somebody changes it' : `for ${lengthInWords(each.for)}`}</small>
            </li>
          )
        })}
      </ol>
      {state === 'running' && due_at !== null && hold === null && (
        <p class="hint">
          The next step begins <Ago at={due_at} />, if 90 % of the processes report no problem by then.
        </p>
      )}
      {state === 'stopped' && <p class="hint">Go begins with the first step again.</p>}
    </section>
  )
}
