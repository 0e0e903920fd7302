import type { Rollout } from '../../shared/rollouts.ts'
import { query } from '../api.ts'
import { Empty, Show, useLoad } from '../load.tsx'
import { useTitle } from '../parts/page.ts'
import { Ago } from '../parts/time.tsx'
import { stateOf } from '../rollouts/words.ts'
import { Link } from '../router.tsx'
import { useStudioEvent } from '../studio.tsx'

/** How often the list is looked at while reports come in, in milliseconds. */
export const ROLLOUTS_EVERY_MS = 2000

/** Every guarded rollout that processes report: those that run, then the latest. */
export function RolloutsPage() {
  const loaded = useLoad<{ rollouts: readonly Rollout[] }>('/rollouts')
  useTitle('Rollouts')
  useStudioEvent('report', loaded.reload, ROLLOUTS_EVERY_MS)
  useStudioEvent('version', loaded.reload)
  return (
    <>
      <div class="head">
        <h1>Rollouts</h1>
      </div>
      <Show of={loaded}>
        {({ rollouts }) =>
          rollouts.length === 0 ? (
            <Empty>
              <p>
                <strong>No process has reported a guarded rollout yet.</strong>
              </p>
              <p>A rollout is guarded if its plugin has “stop_when”. The page Fleet says how processes report.</p>
            </Empty>
          ) : (
            <ul class="rollouts" aria-label="Rollouts">
              {rollouts.map((rollout) => (
                <Row key={rollout.id} of={rollout} />
              ))}
            </ul>
          )
        }
      </Show>
    </>
  )
}

function Row({ of: rollout }: { of: Rollout }) {
  const { domain, name, phase, created_at, reason, hold, state } = rollout
  const { text, kind } = stateOf(rollout)
  return (
    <li class={`card ${kind}`}>
      <span class="what">
        <Link href={`/rollouts/plugin${query({ domain, plugin: name, phase })}`}>
          <b>{name}</b>
        </Link>{' '}
        <small>
          {domain} · {phase} · began <Ago at={created_at} />
        </small>
      </span>
      <span class={`badge ${kind}`}>{text}</span>
      {state === 'stopped' && reason !== null && <p class="problem">{reason}</p>}
      {state === 'running' && hold !== null && <p class="hint">On hold: {hold}</p>}
    </li>
  )
}
