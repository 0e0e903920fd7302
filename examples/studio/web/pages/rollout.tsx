import { useState } from 'preact/hooks'
import type { Rollout } from '../../shared/rollouts.ts'
import { query } from '../api.ts'
import { Failed, Loading, useLoad } from '../load.tsx'
import { useTitle } from '../parts/page.ts'
import { PluginLink } from '../parts/plugin-link.tsx'
import { Ago } from '../parts/time.tsx'
import { RolloutButtons } from '../rollouts/buttons.tsx'
import { RolloutCharts } from '../rollouts/charts.tsx'
import { Groups } from '../rollouts/groups.tsx'
import { RolloutSteps } from '../rollouts/steps.tsx'
import { stateOf } from '../rollouts/words.ts'
import { Link, usePlace } from '../router.tsx'
import { useStudioEvent } from '../studio.tsx'
import { ROLLOUTS_EVERY_MS } from './rollouts.tsx'

/** One rollout in all processes: both groups side by side, its steps, and what can be done. */
export function RolloutPage() {
  const { search } = usePlace()
  const [domain, plugin, phase] = ['domain', 'plugin', 'phase'].map((name) => search.get(name) ?? '') as [
    string,
    string,
    string,
  ]
  const loaded = useLoad<{ rollouts: readonly Rollout[] }>(`/rollouts/of${query({ domain, plugin, phase })}`)
  const { value, problem, reload } = loaded
  useTitle(`${plugin} · Rollouts`)
  useStudioEvent('report', reload, ROLLOUTS_EVERY_MS)
  useStudioEvent('version', reload)
  const [chosen, setChosen] = useState<number>()
  const rollout = value?.rollouts.find(({ id }) => id === chosen) ?? value?.rollouts[0]
  return (
    <>
      <p class="crumbs">
        <Link href="/rollouts">Rollouts</Link> · {domain} · {phase}
      </p>
      <div class="head">
        <h1>{plugin}</h1>
        <PluginLink domain={domain} name={plugin} phase={phase}>
          Open in the editor
        </PluginLink>
        <Link href={`/fleet/plugin${query({ domain, plugin, phase })}`}>In the fleet</Link>
        {rollout && <RolloutButtons of={rollout} done={reload} />}
      </div>
      {problem && <Failed problem={problem} again={reload} />}
      {value === undefined && problem === undefined && <Loading />}
      {value !== undefined && rollout === undefined && (
        <p class="notice">
          No process has reported a guarded rollout of this plugin. A rollout is guarded if it has “stop_when”.
        </p>
      )}
      {rollout && (
        <>
          <State of={rollout} />
          <RolloutSteps of={rollout} />
          <Groups of={rollout} />
          <RolloutCharts id={rollout.id} />
        </>
      )}
      {value !== undefined && rollout !== undefined && value.rollouts.length > 1 && (
        <section aria-label="All rollouts of this plugin">
          <h2>All rollouts of this plugin</h2>
          <ul class="rollouts">
            {value.rollouts.map((each) => (
              <li key={each.id} class="card">
                <span class="what">
                  from version {each.first_version}, <Ago at={each.created_at} />
                </span>
                <span class={`badge ${stateOf(each).kind}`}>{stateOf(each).text}</span>
                <button
                  type="button"
                  aria-label={`Show the rollout from version ${each.first_version}`}
                  aria-pressed={each.id === rollout.id}
                  onClick={() => setChosen(each.id)}
                >
                  Show
                </button>
              </li>
            ))}
          </ul>
        </section>
      )}
    </>
  )
}

/** Where it is, and what stopped it. */
function State({ of: rollout }: { of: Rollout }) {
  const { state, reason, stopped_version, hold, percent_since, version, limits } = rollout
  const { text, kind } = stateOf(rollout)
  return (
    <div class={`card rollout-state ${kind}`} role="status">
      <p>
        <span class={`badge ${kind}`}>{text}</span>{' '}
        <small>
          since version {version}, <Ago at={percent_since} />
        </small>
      </p>
      {reason !== null && (
        <p>
          <b class="problem">Stopped:</b> {reason}.{' '}
          {stopped_version !== null && `Version ${stopped_version} has it at 0 % in all processes.`}
          {state === 'running' && 'It is about to be stopped in all processes.'}
        </p>
      )}
      {hold !== null && (
        <p>
          <b>On hold:</b> {hold}.
        </p>
      )}
      <p class="hint">Limits: {limits.join('; ')}.</p>
    </div>
  )
}
