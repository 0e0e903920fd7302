import { useState } from 'preact/hooks'
import type { Domain, ListedPlugin } from '../../shared/changes.ts'
import { query } from '../api.ts'
import { useEdits } from '../changes/use-edits.ts'
import { describeMode, modeOf, pluginPath } from '../changes/words.ts'
import { Empty, Failed, Loading, type Pages } from '../load.tsx'
import { Badges } from '../parts/badges.tsx'
import { More } from '../parts/more.tsx'
import { Removal } from '../parts/removal.tsx'
import { Ago } from '../parts/time.tsx'
import { Link, usePlace } from '../router.tsx'
import { useMay, useStudio } from '../studio.tsx'
import { DomainName } from './domain-name.tsx'
import { useOrder } from './order.tsx'

/** Plugins of a domain, or of all. */
export function PluginList({
  plugins,
  chosen,
  domain,
  search,
}: {
  plugins: Pages<ListedPlugin>
  /** Name of the domain; undefined: all. */
  chosen: string | undefined
  /** Undefined until it is known. */
  domain: Domain | undefined
  search: string
}) {
  const [ordering, setOrdering] = useState(false)
  const edit = useEdits()
  const order = useOrder(
    plugins,
    ({ domain, name, phase }) => `plugin-${domain}-${name}-${phase}`,
    ({ domain: to, name, phase }, before) =>
      edit('POST', 'plugins/move', {
        key: { domain: to, name, phase },
        to,
        before: before && { name: before.name, phase: before.phase },
      }),
  )
  const { items, problem, loading, reload } = plugins
  const is_ordering = ordering && chosen !== undefined && search === ''
  const failed = order.problem ?? problem
  return (
    <section aria-label="Plugins">
      {chosen !== undefined && (
        <DomainHead
          domain={domain}
          ordering={is_ordering}
          {...(search === '' && (items?.length ?? 0) > 1 ? { order: () => setOrdering(!ordering) } : {})}
        />
      )}
      {failed && <Failed problem={failed} again={reload} />}
      {items === undefined && loading && <Loading />}
      {items?.length === 0 && (
        <Empty>
          {search !== '' ? (
            <p>No plugin matches “{search}”.</p>
          ) : chosen === undefined ? (
            <p>No plugins yet. Choose a domain and create one.</p>
          ) : (
            <p>This domain has no plugins yet.</p>
          )}
        </Empty>
      )}
      {items !== undefined && items.length > 0 && (
        <ul class="plugins live-list">
          {items.map((plugin, index) => (
            <li key={`${plugin.domain} ${plugin.name} ${plugin.phase}`} class={plugin.change ?? undefined}>
              <Link href={pluginPath(plugin)}>
                <span class="title">
                  <span class="name">{plugin.name}</span>
                  {chosen === undefined && <span class="of">{plugin.domain}</span>}
                </span>
                <span class="phase">{plugin.phase}</span>
                <LiveCell plugin={plugin} />
                <span class="badges">
                  {plugin.has_conflict && <span class="badge bad">conflict</span>}
                  <ChangeBadge plugin={plugin} />
                  <Badges fields={plugin.fields} />
                </span>
              </Link>
              {is_ordering && plugin.change !== 'removed' && order.buttons(plugin, index)}
            </li>
          ))}
        </ul>
      )}
      <More of={plugins} what="plugins" />
    </section>
  )
}

/** What is live of it, since when, and by whom. */
function LiveCell({ plugin: { live } }: { plugin: ListedPlugin }) {
  if (live === null) return <span class="live-cell none">not live</span>
  return (
    <span class="live-cell">
      <b class={live.enabled ? undefined : 'problem'}>live: {describeMode(live)}</b>
      {live.version !== null && live.at !== null && (
        <small>
          version {live.version}, <Ago at={live.at} /> by {live.by}
        </small>
      )}
    </span>
  )
}

/** What the change set makes of it. */
function ChangeBadge({ plugin: { change, live, fields } }: { plugin: ListedPlugin }) {
  if (change === null) return null
  const [was, is] = [live && describeMode(live), describeMode(modeOf(fields))]
  return (
    <span class={`badge ${change}`}>
      {change}
      {change !== 'removed' && was !== is && `: ${is}`}
    </span>
  )
}

/** What can be done with the domain whose plugins are shown. */
function DomainHead({
  domain,
  ordering,
  order,
}: {
  domain: Domain | undefined
  ordering: boolean
  /** Where there is anything to order. */
  order?: () => void
}) {
  const { openKillSwitch } = useStudio()
  const { go } = usePlace()
  const may_write = useMay('author')
  const may_publish = useMay('publisher')
  const [doing, setDoing] = useState<'rename' | 'remove'>()
  const stop = () => setDoing(undefined)
  return (
    <div class="head">
      <h2>{domain?.name ?? 'Domain'}</h2>
      {may_publish && domain && (
        <button type="button" class="danger-quiet" onClick={() => openKillSwitch({ domain: domain.name })}>
          Switch off…
        </button>
      )}
      {may_write && order && (
        <button type="button" aria-pressed={ordering} onClick={order}>
          Reorder<span class="visually-hidden"> the plugins</span>
        </button>
      )}
      {may_write && domain && (
        <>
          <button type="button" onClick={() => setDoing('rename')}>
            Rename…
          </button>
          <button type="button" onClick={() => setDoing('remove')}>
            Remove…
          </button>
        </>
      )}
      {may_write && domain && domain.change !== 'removed' && (
        <Link class="button primary" href={`/plugin${query({ domain: domain.name })}`}>
          New plugin
        </Link>
      )}
      {domain && doing === 'rename' && <DomainName domain={domain} close={stop} />}
      {domain && doing === 'remove' && (
        <Removal name={domain.name} what="domains" body={{ domain: domain.name }} close={stop} removed={() => go('/')}>
          The domain and its {domain.plugins} plugins are removed in the change set.
        </Removal>
      )}
    </div>
  )
}
