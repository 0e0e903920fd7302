import { useEffect, useState } from 'preact/hooks'
import type { Domain, ListedPlugin } from '../../shared/changes.ts'
import { query } from '../api.ts'
import { SearchField } from '../form.tsx'
import { Empty, usePages } from '../load.tsx'
import { ExpiredPlugins } from '../parts/expired.tsx'
import { useDelayed, useTitle } from '../parts/page.ts'
import { DomainList } from '../plugins/domain-list.tsx'
import { DomainName } from '../plugins/domain-name.tsx'
import { PluginList } from '../plugins/plugin-list.tsx'
import { usePlace } from '../router.tsx'
import { useMay, useStudio, useStudioEvent } from '../studio.tsx'

const PAGE = 60

/** Domains and their plugins; as many as are looked at, however many there are. */
export function PluginsPage() {
  const { go, search: asked } = usePlace()
  const may_write = useMay('author')
  const [search, setSearch] = useState(asked.get('q') ?? '')
  const wanted = useDelayed(search, 150)
  const { set } = useStudio()
  const chosen = asked.get('domain') ?? undefined
  const [adding, setAdding] = useState(false)
  useTitle('Plugins')

  const domains = usePages<Domain>(
    (_, limit, from) => `/domains${query({ set, search: wanted, from: from || undefined, limit })}`,
    PAGE,
  )
  const plugins = usePages<ListedPlugin>(
    (_, limit, from) => `/plugins${query({ set, search: wanted, domain: chosen, from: from || undefined, limit })}`,
    PAGE,
  )
  // The one that is chosen need not be among those that are listed.
  const domain =
    domains.items?.find(({ name }) => name === chosen) ??
    (chosen === undefined ? undefined : { name: chosen, plugins: plugins.items?.length ?? 0, change: null })
  const reload = () => {
    domains.reload()
    plugins.reload()
  }
  useStudioEvent('change', reload, 200)
  useStudioEvent('version', reload, 200)
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
      <ExpiredPlugins set={set} />
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
