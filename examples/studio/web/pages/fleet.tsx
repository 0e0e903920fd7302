import { useState } from 'preact/hooks'
import type { Headline, ShadowRuns } from '../../shared/fleet.ts'
import { Charts } from '../fleet/charts.tsx'
import { GoneProcesses } from '../fleet/gone-processes.tsx'
import { PluginList } from '../fleet/plugin-list.tsx'
import { ProcessRow } from '../fleet/process-row.tsx'
import { useProcesses } from '../fleet/use-processes.ts'
import { SearchField } from '../form.tsx'
import { Empty, Failed, Loading, useLoad } from '../load.tsx'
import { More } from '../parts/more.tsx'
import { useDelayed, useTitle } from '../parts/page.ts'
import { ShadowCounts } from '../parts/shadow-counts.tsx'
import { useStudioEvent } from '../studio.tsx'

/** What shadows have counted is looked at once in this time while reports come in, in milliseconds. */
const SHADOWS_EVERY_MS = 5000

/** What is live in which process, what is in trouble, and what the plugins do. */
export function FleetPage() {
  const [search, setSearch] = useState('')
  const wanted = useDelayed(search, 150)
  const processes = useProcesses('live', wanted)
  const shadow = useLoad<readonly ShadowRuns[]>('/shadow')
  useTitle('Fleet')
  useStudioEvent('report', shadow.reload, SHADOWS_EVERY_MS)
  const { headline, items, problem, loading } = processes
  if (headline === undefined) return problem ? <Failed problem={problem} again={processes.reload} /> : <Loading />
  const is_empty = headline.live + headline.silent + headline.closed === 0
  return (
    <>
      <div class="head">
        <h1>Fleet</h1>
        {!is_empty && <SearchField label="Find a process" value={search} change={setSearch} />}
      </div>
      {problem && <Failed problem={problem} again={processes.reload} />}
      {is_empty ? (
        <Empty>
          <p>
            <strong>No process has reported yet.</strong>
          </p>
          <p>
            In the options of dynacode, set <code>report_uri: '{location.origin}/api/reports'</code> and, in{' '}
            <code>report_headers</code>, a token from the page People.
          </p>
        </Empty>
      ) : (
        <>
          <Summary of={headline} />
          <PluginList />
          <section aria-label="Processes">
            <h2>Processes</h2>
            {items?.length === 0 && (
              <p class="hint">{wanted === '' ? 'No process reports at this time.' : 'No process found.'}</p>
            )}
            <ul class="instances">
              {items?.map((process) => (
                <ProcessRow key={process.id} process={process} />
              ))}
            </ul>
            <More of={{ ...processes, loading, items: items ?? [] }} what="processes" by_sight={false} />
          </section>
          <GoneProcesses silent={headline.silent} closed={headline.closed} />
          <ShadowCounts of={shadow} by="plugin" />
          <Charts />
        </>
      )}
    </>
  )
}

/** The fleet in one line. */
function Summary({ of: { version, live, on_version, bad, silent, closed } }: { of: Headline }) {
  const what = live === 1 ? 'live process' : 'live processes'
  return (
    <p class="summary" role="status">
      {version === 0 ? (
        <b>
          {live} {what}, nothing published
        </b>
      ) : (
        <b class={on_version === live ? undefined : 'behind'}>
          {on_version} of {live} {what} on version {version}
        </b>
      )}
      {bad > 0 && <span class="badge bad">{bad} with problems</span>}
      {silent > 0 && <span class="badge warn">{silent} silent</span>}
      {closed > 0 && <span class="badge">{closed} closed</span>}
    </p>
  )
}
