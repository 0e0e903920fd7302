import { useState } from 'preact/hooks'
import type { Domain, Plugin } from '../../shared/draft.ts'
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
  plugins: Pages<Plugin>
  /** Id of the domain; undefined: all. */
  chosen: number | undefined
  /** Undefined until it is known. */
  domain: Domain | undefined
  search: string
}) {
  const [ordering, setOrdering] = useState(false)
  const order = useOrder(plugins, ({ id }) => `/plugins/${id}`)
  const { items, problem, loading, reload } = plugins
  const is_ordering = ordering && chosen !== undefined && search === ''
  const failed = order.problem ?? problem
  return (
    <section aria-label="Plugins">
      {chosen !== undefined && (
        <DomainHead
          id={chosen}
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
        <ul class="plugins">
          {items.map((plugin, index) => (
            <li key={plugin.id}>
              <Link href={`/plugins/${plugin.id}`}>
                <span class="name">{plugin.name}</span>
                {chosen === undefined && <span class="of">{plugin.domain}</span>}
                <span class="phase">{plugin.phase}</span>
                <span class="badges">
                  <Badges fields={plugin.fields} />
                </span>
                <Ago at={plugin.updated_at} />
              </Link>
              {is_ordering && order.buttons(plugin, index)}
            </li>
          ))}
        </ul>
      )}
      <More of={plugins} what="plugins" />
    </section>
  )
}

/** What can be done with the domain whose plugins are shown. */
function DomainHead({
  id,
  domain,
  ordering,
  order,
}: {
  id: number
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
      {may_write && (
        <Link class="button primary" href={`/domains/${id}/new`}>
          New plugin
        </Link>
      )}
      {domain && doing === 'rename' && <DomainName domain={domain} close={stop} />}
      {domain && doing === 'remove' && (
        <Removal
          name={domain.name}
          path={`/domains/${id}`}
          revision={domain.revision}
          close={stop}
          removed={() => go('/')}
        >
          The domain and its {domain.plugins} plugins are removed from the draft.
        </Removal>
      )}
    </div>
  )
}
