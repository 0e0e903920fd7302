import { useEffect, useState } from 'preact/hooks'
import type { Domain, Plugin } from '../../shared/draft.ts'
import { query } from '../api.ts'
import { SearchField } from '../form.tsx'
import { Empty, useLoad, usePages } from '../load.tsx'
import { useDelayed, useTitle } from '../parts/page.ts'
import { DomainList } from '../plugins/domain-list.tsx'
import { DomainName } from '../plugins/domain-name.tsx'
import { PluginList } from '../plugins/plugin-list.tsx'
import { usePlace } from '../router.tsx'
import { useMay, useStudioEvent } from '../studio.tsx'

const PAGE = 60

/** Domains and their plugins; as many as are looked at, however many there are. */
export function PluginsPage() {
  const { go, search: asked } = usePlace()
  const may_write = useMay('author')
  const [search, setSearch] = useState(asked.get('q') ?? '')
  const wanted = useDelayed(search, 150)
  const chosen = Number(asked.get('domain')) || undefined
  const [adding, setAdding] = useState(false)
  useTitle('Plugins')

  const domains = usePages<Domain>(
    (after, limit) => `/domains${query({ search: wanted, after: after?.id, limit })}`,
    PAGE,
  )
  const plugins = usePages<Plugin>(
    (after, limit) => `/plugins${query({ search: wanted, domain_id: chosen, after: after?.id, limit })}`,
    PAGE,
  )
  // The one that is chosen need not be among those that are listed.
  const listed = domains.items?.find(({ id }) => id === chosen)
  const other = useLoad<Omit<Domain, 'plugins'>>(
    chosen === undefined || listed !== undefined || domains.loading ? undefined : `/domains/${chosen}`,
  )
  const domain = listed ?? (other.value && { ...other.value, plugins: plugins.items?.length ?? 0 })
  useStudioEvent(
    'draft',
    () => {
      domains.reload()
      plugins.reload()
      other.reload()
    },
    200,
  )
  useEffect(() => {
    if (wanted !== (asked.get('q') ?? '')) go(`/${query({ q: wanted, domain: chosen })}`, { replace: true })
  }, [wanted])

  return (
    <>
      <div class="head">
        <h1>Plugins</h1>
        <SearchField label="Search domains and plugins" placeholder="Search" value={search} change={setSearch} />
        {may_write && (
          <button type="button" onClick={() => setAdding(true)}>
            New domain
          </button>
        )}
      </div>
      {wanted === '' && domains.items?.length === 0 ? (
        <Empty>
          <p>
            <strong>No domains yet.</strong>
          </p>
          <p>
            A domain groups the plugins for a host, such as <code>shop.example.com</code>, <code>*.example.com</code>,
            or <code>*</code> for all.
          </p>
          {may_write && (
            <button type="button" class="primary" onClick={() => setAdding(true)}>
              Add the first domain
            </button>
          )}
        </Empty>
      ) : (
        <div class="panes">
          <DomainList domains={domains} chosen={chosen} search={wanted} />
          <PluginList plugins={plugins} chosen={chosen} domain={domain} search={wanted} />
        </div>
      )}
      {adding && <DomainName close={() => setAdding(false)} />}
    </>
  )
}
