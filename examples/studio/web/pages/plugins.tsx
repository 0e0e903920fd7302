import { useEffect, useRef, useState } from 'preact/hooks'
import { type Domain, type Plugin, query } from '../api.ts'
import { Confirm, Dialog } from '../dialog.tsx'
import { TextField, useAction } from '../form.tsx'
import { Empty, Failed, Loading, usePages } from '../load.tsx'
import { Badges } from '../parts/badges.tsx'
import { useDelayed, useTitle } from '../parts/page.ts'
import { Ago } from '../parts/time.tsx'
import { Link, usePlace } from '../router.tsx'
import { useMay, useStudio, useStudioEvent } from '../studio.tsx'

const PAGE = 60

/** Domains and their plugins; as many as are looked at, however many there are. */
export function PluginsPage() {
  const { go, search: asked } = usePlace()
  const { openKillSwitch } = useStudio()
  const may_write = useMay('author')
  const may_publish = useMay('publisher')
  const [search, setSearch] = useState(asked.get('q') ?? '')
  const wanted = useDelayed(search, 150)
  const chosen = Number(asked.get('domain')) || undefined
  const [adding, setAdding] = useState(false)
  const [removing, setRemoving] = useState<Domain>()
  const { api, say } = useStudio()
  useTitle('Plugins')

  const domains = usePages<Domain>(
    (after) => `/domains${query({ search: wanted, after: after?.id, limit: PAGE })}`,
    PAGE,
  )
  const plugins = usePages<Plugin>(
    (after) => `/plugins${query({ search: wanted, domain_id: chosen, after: after?.id, limit: PAGE })}`,
    PAGE,
  )
  useStudioEvent(
    'draft',
    () => {
      domains.reload()
      plugins.reload()
    },
    200,
  )
  useEffect(() => {
    if (wanted !== (asked.get('q') ?? '')) go(`/${query({ q: wanted, domain: chosen })}`, { replace: true })
  }, [wanted])

  const domain = domains.items?.find(({ id }) => id === chosen)
  const is_new = wanted === '' && domains.items?.length === 0
  return (
    <>
      <div class="head">
        <h1>Plugins</h1>
        <input
          type="search"
          aria-label="Search domains and plugins"
          placeholder="Search"
          value={search}
          onInput={({ currentTarget }) => setSearch(currentTarget.value)}
        />
        {may_write && (
          <button type="button" onClick={() => setAdding(true)}>
            New domain
          </button>
        )}
      </div>
      {is_new ? (
        <Empty>
          <p>
            <strong>There is no domain yet.</strong>
          </p>
          <p>
            A domain says for which hosts plugins run: <code>shop.example.com</code>, <code>*.example.com</code>, or{' '}
            <code>*</code> for all.
          </p>
          {may_write && (
            <button type="button" class="primary" onClick={() => setAdding(true)}>
              Add the first domain
            </button>
          )}
        </Empty>
      ) : (
        <div class="panes">
          <aside aria-label="Domains">
            {domains.problem && <Failed problem={domains.problem} again={domains.reload} />}
            {domains.items === undefined && domains.loading && <Loading />}
            <ul class="domains">
              <li>
                <Link href={`/${query({ q: wanted })}`} aria-current={chosen === undefined ? 'true' : undefined}>
                  <span>All domains</span>
                </Link>
              </li>
              {domains.items?.map(({ id, name, plugins: count }) => (
                <li key={id}>
                  <Link href={`/${query({ q: wanted, domain: id })}`} aria-current={chosen === id ? 'true' : undefined}>
                    <span>{name}</span> <small>{count}</small>
                  </Link>
                </li>
              ))}
            </ul>
            {domains.has_more && <More more={domains.more} busy={domains.loading} what="domains" />}
          </aside>
          <section aria-label="Plugins">
            {chosen !== undefined && (
              <div class="head">
                <h2>{domain?.name ?? 'Domain'}</h2>
                {may_publish && domain && (
                  <button type="button" class="danger-quiet" onClick={() => openKillSwitch({ domain: domain.name })}>
                    Switch off…
                  </button>
                )}
                {may_write && domain && (
                  <button type="button" onClick={() => setRemoving(domain)}>
                    Remove…
                  </button>
                )}
                {may_write && (
                  <Link class="button primary" href={`/domains/${chosen}/new`}>
                    New plugin
                  </Link>
                )}
              </div>
            )}
            {plugins.problem && <Failed problem={plugins.problem} again={plugins.reload} />}
            {plugins.items === undefined && plugins.loading && <Loading />}
            {plugins.items?.length === 0 && (
              <Empty>
                {wanted !== '' ? (
                  <p>No plugin is called “{wanted}”.</p>
                ) : chosen === undefined ? (
                  <p>There is no plugin yet. Choose a domain, and write one.</p>
                ) : (
                  <p>This domain has no plugin yet.</p>
                )}
              </Empty>
            )}
            {plugins.items !== undefined && plugins.items.length > 0 && (
              <ul class="plugins">
                {plugins.items.map((plugin) => (
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
                  </li>
                ))}
              </ul>
            )}
            {plugins.has_more && <More more={plugins.more} busy={plugins.loading} what="plugins" />}
          </section>
        </div>
      )}
      {adding && <NewDomain close={() => setAdding(false)} />}
      {removing && (
        <Confirm
          title={`Remove ${removing.name}?`}
          action="Remove"
          danger
          close={() => setRemoving(undefined)}
          run={async () => {
            await api.send('DELETE', `/domains/${removing.id}`, { revision: removing.revision })
            say(`${removing.name} is removed from the draft`)
            go('/')
            domains.reload()
          }}
        >
          <p>
            The domain and its {removing.plugins} plugins go from the draft. What is live stays until you publish, and
            earlier versions keep it.
          </p>
        </Confirm>
      )}
    </>
  )
}

/** Loads more once it comes into sight; or when it is pressed. */
function More({ more, busy, what }: { more(): void; busy: boolean; what: string }) {
  const own = useRef<HTMLButtonElement>(null)
  const newest = useRef(more)
  newest.current = more
  useEffect(() => {
    const observer = new IntersectionObserver(
      (entries) => entries.some(({ isIntersecting }) => isIntersecting) && newest.current(),
      { rootMargin: '300px' },
    )
    if (!busy) observer.observe(own.current as HTMLButtonElement)
    return () => observer.disconnect()
  }, [busy])
  return (
    <button type="button" ref={own} class="more" disabled={busy} onClick={more}>
      {busy ? 'Loading…' : `More ${what}`}
    </button>
  )
}

function NewDomain({ close }: { close(): void }) {
  const { api } = useStudio()
  const { go } = usePlace()
  const [name, setName] = useState('')
  const { busy, problem, run } = useAction()
  return (
    <Dialog title="New domain" close={close}>
      <form
        onSubmit={async (event) => {
          event.preventDefault()
          const done = await run(async () => {
            const { id } = await api.send<Domain>('POST', '/domains', { name })
            go(`/${query({ domain: id })}`)
          })
          if (done) close()
        }}
      >
        <TextField
          label="Hosts"
          hint={
            <>
              <code>shop.example.com</code>: that host. <code>*.example.com</code>: its subdomains. <code>*</code>:
              every host. Anything else is a regular expression.
            </>
          }
          value={name}
          change={setName}
          problem={problem?.fields.name}
          required
          autofocus
        />
        {problem && problem.fields.name === undefined && <Failed problem={problem} />}
        <footer>
          <button type="button" onClick={close}>
            Cancel
          </button>
          <button type="submit" class="primary" disabled={busy}>
            Add
          </button>
        </footer>
      </form>
    </Dialog>
  )
}
