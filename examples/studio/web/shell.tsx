import type { ComponentChildren } from 'preact'
import { useCallback, useEffect, useMemo, useRef, useState } from 'preact/hooks'
import type { Live } from '../shared/live.ts'
import type { Session } from '../shared/people.ts'
import type { Api } from './api.ts'
import { SetBar, useWorkingSet } from './changes/bar.tsx'
import { openEvents } from './event-source.ts'
import { KillSwitch } from './kill-switch.tsx'
import { Empty } from './load.tsx'
import { ActionsPage } from './pages/actions.tsx'
import { AuditPage } from './pages/audit.tsx'
import { ChangeSetPage } from './pages/change-set.tsx'
import { ChangesPage } from './pages/changes.tsx'
import { DocumentPage } from './pages/document.tsx'
import { EditorPage } from './pages/editor.tsx'
import { EnvironmentsPage } from './pages/environments.tsx'
import { FleetPage } from './pages/fleet.tsx'
import { FleetPluginPage } from './pages/fleet-plugin.tsx'
import { HistoryPage } from './pages/history.tsx'
import { PeoplePage } from './pages/people.tsx'
import { PluginsPage } from './pages/plugins.tsx'
import { RolloutPage } from './pages/rollout.tsx'
import { RolloutsPage } from './pages/rollouts.tsx'
import { TryPage } from './pages/try.tsx'
import { WebhooksPage } from './pages/webhooks.tsx'
import { AccountMenu } from './parts/account-menu.tsx'
import { Guarded } from './parts/guarded.tsx'
import { Keys } from './parts/keys.tsx'
import { Link, usePlace } from './router.tsx'
import { type StudioEvent, type StudioPage, StudioProvider } from './studio.tsx'
import { ThemeButton } from './theme.tsx'

const PAGES = [
  ['/', 'Plugins'],
  ['/actions', 'Actions'],
  ['/try', 'Try it'],
  ['/document', 'Document'],
  ['/changes', 'Changes'],
  ['/history', 'History'],
  ['/fleet', 'Fleet'],
  ['/rollouts', 'Rollouts'],
  ['/audit', 'Audit log'],
  ['/environments', 'Environments'],
  ['/webhooks', 'Webhooks'],
  ['/people', 'People'],
] as const

/** For authors and publishers. */
const OF_AUTHORS: readonly string[] = ['/actions', '/try']
/** For publishers. */
const OF_PUBLISHERS: readonly string[] = ['/environments', '/webhooks', '/people']

/** What is around every page of somebody who is signed in. */
export function Shell({ api, session, end }: { api: Api; session: Session; end(): void }) {
  const { path, search } = usePlace()
  const [set, workIn] = useWorkingSet(search)
  const [live, setLive] = useState<Live>()
  const [told, setTold] = useState<{ message: string; kind: 'done' | 'failed' }>()
  const [keys, setKeys] = useState(false)
  const [kill, setKill] = useState<{ domain?: string; plugin?: string }>()
  const [connected, setConnected] = useState(true)
  const heard = useRef(new Map<StudioEvent, Set<(data?: string) => void>>())
  const content = useRef<HTMLElement>(null)

  const refreshLive = useCallback(() => {
    api.get<Live>('/live').then(setLive, () => undefined)
  }, [api])
  const say = useCallback((message: string, kind: 'done' | 'failed' = 'done') => setTold({ message, kind }), [])
  const listen = useCallback((event: StudioEvent, call: (data?: string) => void) => {
    const calls = heard.current.get(event) ?? new Set()
    heard.current.set(event, calls.add(call))
    return () => void calls.delete(call)
  }, [])

  const watch = path.startsWith('/fleet') ? 'fleet' : undefined
  const was_open = useRef(false)
  useEffect(() => {
    refreshLive()
    const close = openEvents({
      watch,
      again: was_open.current,
      heard(event, data) {
        for (const call of heard.current.get(event) ?? []) call(data)
      },
      connected: setConnected,
      refused: refreshLive,
    })
    was_open.current = true
    const ends = [listen('version', refreshLive), listen('change', refreshLive)]
    return () => {
      for (const end of ends) end()
      close()
    }
  }, [refreshLive, listen, watch])

  useEffect(() => {
    if (told?.kind !== 'done') return undefined
    const timer = setTimeout(() => setTold(undefined), 6000)
    return () => clearTimeout(timer)
  }, [told])

  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      // Inside of a shadow tree the target is its host.
      const target = event.composedPath()[0] as HTMLElement
      const is_typing = target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName)
      if (is_typing || event.ctrlKey || event.metaKey || event.altKey || document.querySelector('dialog[open]')) return
      if (event.key === '?') setKeys(true)
      else if (event.key === '/') {
        const search = document.querySelector<HTMLInputElement>('input[type=search]')
        if (search === null) return
        search.focus()
        search.select()
      } else return
      event.preventDefault()
    }
    addEventListener('keydown', press)
    return () => removeEventListener('keydown', press)
  }, [])

  // On a phone the row of pages is wider than the screen.
  useEffect(() => {
    document.querySelector('nav.pages [aria-current]')?.scrollIntoView({ block: 'nearest', inline: 'nearest' })
  }, [path])

  // Somebody who hears the page is told where they are now.
  const first = useRef(true)
  useEffect(() => {
    if (!first.current) content.current?.focus({ preventScroll: true })
    first.current = false
  }, [path])

  const may_publish = session.role === 'publisher'
  const studio = useMemo<StudioPage>(
    () => ({
      api,
      session,
      live,
      set,
      workIn,
      refreshLive,
      say,
      listen,
      openKillSwitch: (what) => setKill(what ?? {}),
    }),
    [api, session, live, set, workIn, refreshLive, say, listen],
  )
  return (
    <StudioProvider value={studio}>
      <a class="skip" href="#content">
        Skip to content
      </a>
      <header class="top">
        <Link href="/" class="brand">
          <img src="/icon.svg" alt="" width="26" height="26" />
          <span>dynacode studio</span>
        </Link>
        <span class="live" role="status">
          {live !== undefined &&
            (live.version === 0 ? (
              'nothing is live'
            ) : (
              <>
                version {live.version} <span class="spare">is live</span>
              </>
            ))}
        </span>
        <span class="space" />
        <ThemeButton />
        <button type="button" class="quiet keys" aria-label="Keys" title="Keys (?)" onClick={() => setKeys(true)}>
          ?
        </button>
        <AccountMenu api={api} session={session} end={end} />
        {may_publish && (
          <button type="button" class="danger kill" onClick={() => setKill({})}>
            Kill switch
          </button>
        )}
      </header>
      <nav class="pages" aria-label="Pages">
        {PAGES.filter(([to]) => may_publish || !OF_PUBLISHERS.includes(to))
          .filter(([to]) => session.role !== 'viewer' || !OF_AUTHORS.includes(to))
          .map(([to, name]) => (
            <Link key={to} href={to} aria-current={isIn(path, to) ? 'page' : undefined}>
              {name}
              {to === '/changes' && may_publish && live !== undefined && live.waiting > 0 && (
                <span class="count">
                  {live.waiting}
                  <span class="visually-hidden"> waiting for approval</span>
                </span>
              )}
            </Link>
          ))}
      </nav>
      <SetBar />
      {live?.enabled === false && (
        <div class="notice failed banner" role="alert">
          <strong>Everything is switched off.</strong> No plugin runs anywhere.
          {may_publish && (
            <button type="button" onClick={() => setKill({})}>
              Switch on again…
            </button>
          )}
        </div>
      )}
      {!connected && (
        <div class="notice banner" role="status">
          The studio cannot be reached. What you see may be out of date; what you type is kept.
        </div>
      )}
      <main id="content" ref={content} tabIndex={-1}>
        <Guarded key={path}>
          <Route path={path} role={session.role} />
        </Guarded>
      </main>
      {told && (
        <div class={`toast ${told.kind}`} role="status">
          <span>{told.message}</span>
          <button type="button" class="quiet" aria-label="Dismiss" onClick={() => setTold(undefined)}>
            ✕
          </button>
        </div>
      )}
      {keys && <Keys close={() => setKeys(false)} />}
      {kill && <KillSwitch what={kill} close={() => setKill(undefined)} />}
    </StudioProvider>
  )
}

function isIn(path: string, page: string): boolean {
  return page === '/'
    ? path === '/' || path === '/plugin'
    : path === page ||
        (page === '/fleet' && path.startsWith('/fleet/')) ||
        (page === '/rollouts' && path.startsWith('/rollouts/')) ||
        (page === '/changes' && path.startsWith('/changes/'))
}

function Route({ path, role }: { path: string; role: Session['role'] }): ComponentChildren {
  const [, set] = /^\/changes\/(\d+)$/.exec(path) ?? []
  if (set !== undefined) return <ChangeSetPage key={path} id={Number(set)} />
  if (path === '/changes') return <ChangesPage />
  if (path === '/plugin') return <EditorPage />
  if (path === '/') return <PluginsPage />
  if (path === '/actions' && role !== 'viewer') return <ActionsPage />
  if (path === '/try' && role !== 'viewer') return <TryPage />
  if (path === '/document') return <DocumentPage />
  if (path === '/history') return <HistoryPage />
  if (path === '/fleet') return <FleetPage />
  if (path === '/fleet/plugin') return <FleetPluginPage />
  if (path === '/rollouts') return <RolloutsPage />
  if (path === '/rollouts/plugin') return <RolloutPage />
  if (path === '/audit') return <AuditPage />
  if (path === '/environments' && role === 'publisher') return <EnvironmentsPage />
  if (path === '/webhooks' && role === 'publisher') return <WebhooksPage />
  if (path === '/people' && role === 'publisher') return <PeoplePage />
  return (
    <Empty>
      <h1>Page not found</h1>
      <p>
        <Link href="/">Go to Plugins</Link>
      </p>
    </Empty>
  )
}
