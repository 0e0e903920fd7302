import { useEffect } from 'preact/hooks'
import type { PluginActivity, ShadowRuns } from '../../shared/fleet.ts'
import { query } from '../api.ts'
import { Charts } from '../fleet/charts.tsx'
import { RATES_EVERY_MS, Rates } from '../fleet/plugin-list.tsx'
import { Contacts, LastError, OffButton } from '../fleet/plugin-state.tsx'
import { Failed, Loading, useLoad } from '../load.tsx'
import { useTitle } from '../parts/page.ts'
import { PluginLink } from '../parts/plugin-link.tsx'
import { ShadowCounts } from '../parts/shadow-counts.tsx'
import { Link, usePlace } from '../router.tsx'

/** One plugin in all processes: how it fares, what it did over time, and the way to its code. */
export function FleetPluginPage() {
  const { search } = usePlace()
  const given = {
    domain: search.get('domain') ?? '',
    plugin: search.get('plugin') ?? '',
    phase: search.get('phase') ?? '',
  }
  const { domain, plugin, phase } = given
  const loaded = useLoad<PluginActivity>(`/fleet/plugin${query(given)}`)
  const shadow = useLoad<readonly ShadowRuns[]>(`/shadow${query({ domain, plugin })}`)
  const { value, problem, reload } = loaded
  useTitle(`${plugin} · Fleet`)
  useEffect(() => {
    const timer = setInterval(reload, RATES_EVERY_MS)
    return () => clearInterval(timer)
  }, [reload])
  return (
    <>
      <p class="crumbs">
        <Link href="/fleet">Fleet</Link> · {domain} · {phase}
      </p>
      <div class="head">
        <h1>{plugin}</h1>
        <PluginLink domain={domain} name={plugin} phase={phase}>
          Open in the editor
        </PluginLink>
        <Link href={`/rollouts/plugin${query(given)}`}>Rollout</Link>
        {value && <OffButton of={value} />}
      </div>
      {problem && problem.status !== 404 && <Failed problem={problem} again={reload} />}
      {problem?.status === 404 && <p class="notice">It has not run in the last minutes.</p>}
      {value === undefined && problem === undefined && <Loading />}
      {value && (
        <div class={`card plugin-state ${value.condition}`}>
          <span class={`badge ${value.is_off ? '' : value.condition}`}>
            {value.is_off ? 'switched off' : value.text}
          </span>
          <Rates of={value} />
          <Contacts of={value} />
          {value.last_error && (
            <>
              <h2>Last error</h2>
              <LastError of={value.last_error} />
            </>
          )}
        </div>
      )}
      <ShadowCounts of={shadow} by="instance" />
      <Charts plugin={given} />
    </>
  )
}
