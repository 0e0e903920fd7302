import type { Instance, ShadowRuns } from '../../shared/fleet.ts'
import { InstanceEntry } from '../fleet/instance.tsx'
import { PluginCounters } from '../fleet/plugin-counters.tsx'
import { judge } from '../fleet/report.ts'
import { Empty, Show, useLoad } from '../load.tsx'
import { useTitle } from '../parts/page.ts'
import { ShadowCounts } from '../parts/shadow-counts.tsx'
import { useStudio, useStudioEvent } from '../studio.tsx'

/** Reports that come closer together than this are shown together, in milliseconds. */
const TOGETHER_MS = 500
/** Which process runs what, and how it fares; new reports come in by themselves. */
export function FleetPage() {
  const fleet = useLoad<readonly Instance[]>('/fleet')
  useTitle('Fleet')
  const shadow = useLoad<readonly ShadowRuns[]>('/shadow')
  useStudioEvent(
    'report',
    () => {
      fleet.reload()
      shadow.reload()
    },
    TOGETHER_MS,
  )
  return (
    <>
      <div class="head">
        <h1>Fleet</h1>
        <span class="hint">Updates live as reports arrive.</span>
      </div>
      <Show of={fleet}>
        {(instances) =>
          instances.length === 0 ? (
            <Empty>
              <p>
                <strong>No instance has reported yet.</strong>
              </p>
              <p>
                In the options of dynacode, set <code>report_uri: '{location.origin}/api/reports'</code> and, in{' '}
                <code>report_headers</code>, a token from the page People.
              </p>
            </Empty>
          ) : (
            <>
              <Summary instances={instances} />
              <ul class="instances">
                {instances.map((instance) => (
                  <InstanceEntry key={instance.id} instance={instance} />
                ))}
              </ul>
              <ShadowCounts of={shadow} by="plugin" />
              <PluginCounters instances={instances} />
            </>
          )
        }
      </Show>
    </>
  )
}

function Summary({ instances }: { instances: readonly Instance[] }) {
  const { live } = useStudio()
  const on = instances.filter(({ report }) => report.active?.version === live?.version).length
  const trouble = instances.filter((instance) => judge(instance, live?.version).kind === 'bad').length
  return (
    <p class="summary" role="status">
      <b>{instances.length}</b> {instances.length === 1 ? 'instance' : 'instances'}
      {live !== undefined && live.version > 0 && (
        <>
          {' '}
          · <b>{on}</b> on version {live.version}
        </>
      )}
      {trouble > 0 && (
        <>
          {' '}
          · <b class="problem">{trouble} with problems</b>
        </>
      )}
    </p>
  )
}
