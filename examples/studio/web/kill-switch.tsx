import { useState } from 'preact/hooks'
import { type Domain, type Plugin, query } from './api.ts'
import { Dialog } from './dialog.tsx'
import { useAction } from './form.tsx'
import { Failed, Show, useLoad } from './load.tsx'
import { useStudio } from './studio.tsx'

interface Target {
  readonly domain?: string
  readonly plugin?: string
}

/** Switches off what is live: everything, a domain, a plugin. One tap to choose, one to confirm. */
export function KillSwitch({ what, close }: { what: Target; close(): void }) {
  const { api, live, refreshLive, say } = useStudio()
  const [asked, setAsked] = useState<{ target: Target; on: boolean } | undefined>(
    what.domain === undefined ? undefined : { target: what, on: false },
  )
  const { busy, problem, run, clear } = useAction()
  const is_off = live?.enabled === false

  const ask = (target: Target, on: boolean) => {
    clear()
    setAsked({ target, on })
  }
  if (asked !== undefined) {
    const { target, on } = asked
    const name = nameOf(target)
    return (
      <Dialog title={`${on ? 'Switch on' : 'Switch off'} ${name}?`} close={close} danger={!on}>
        <p>
          {on
            ? 'It runs again within moments, as it is live.'
            : target.domain === undefined
              ? 'No plugin runs anywhere, for any request. Plugins that guard something guard it no longer.'
              : 'It stops within moments, wherever it is live. The rest of the draft is not published.'}
        </p>
        {problem && <Failed problem={problem} />}
        <footer>
          <button type="button" class="big" onClick={() => (what.domain === undefined ? setAsked(undefined) : close())}>
            Back
          </button>
          <button
            type="button"
            class={`big ${on ? 'primary' : 'danger'}`}
            disabled={busy}
            autofocus
            onClick={async () => {
              const done = await run(async () => {
                const { version } = await api.send<{ version: number }>('POST', '/switch', { ...target, on })
                say(`${name} is switched ${on ? 'on' : 'off'}: version ${version}`)
                refreshLive()
              })
              if (done) close()
            }}
          >
            {busy ? 'One moment…' : on ? 'Switch on' : 'Switch off'}
          </button>
        </footer>
      </Dialog>
    )
  }
  return (
    <Dialog title="Kill switch" close={close} danger>
      {live?.version === 0 && <p class="notice">Nothing is live yet: there is nothing to switch off.</p>}
      {is_off ? (
        <button type="button" class="primary big whole" onClick={() => ask({}, true)}>
          Switch everything on again
        </button>
      ) : (
        <button type="button" class="danger big whole" onClick={() => ask({}, false)}>
          Switch everything off
        </button>
      )}
      <Finder choose={ask} />
    </Dialog>
  )
}

function nameOf({ domain, plugin }: Target): string {
  return domain === undefined ? 'everything' : plugin === undefined ? domain : `${plugin} in ${domain}`
}

function Finder({ choose }: { choose(target: Target, on: boolean): void }) {
  const [search, setSearch] = useState('')
  const domains = useLoad<Domain[]>(`/domains${query({ search, limit: 6 })}`)
  const plugins = useLoad<Plugin[]>(`/plugins${query({ search, limit: 12 })}`)
  return (
    <section aria-label="One domain or plugin">
      <input
        type="search"
        aria-label="Find a domain or plugin"
        placeholder="Find a domain or plugin"
        value={search}
        onInput={({ currentTarget }) => setSearch(currentTarget.value)}
      />
      <Show of={domains}>
        {(found) => (
          <ul class="targets">
            {found.map(({ id, name }) => (
              <Row key={id} name={name} kind="domain" choose={(on) => choose({ domain: name }, on)} />
            ))}
          </ul>
        )}
      </Show>
      <Show of={plugins}>
        {(found) => (
          <ul class="targets">
            {found.map(({ id, name, domain = '' }) => (
              <Row key={id} name={name} kind={domain} choose={(on) => choose({ domain, plugin: name }, on)} />
            ))}
            {found.length === 0 && domains.value?.length === 0 && <li class="hint">Nothing is called that.</li>}
          </ul>
        )}
      </Show>
    </section>
  )
}

function Row({ name, kind, choose }: { name: string; kind: string; choose(on: boolean): void }) {
  return (
    <li>
      <span class="what">
        <b>{name}</b> <small>{kind}</small>
      </span>
      <button type="button" onClick={() => choose(true)} aria-label={`Switch on ${name}`}>
        On
      </button>
      <button type="button" class="danger" onClick={() => choose(false)} aria-label={`Switch off ${name}`}>
        Off
      </button>
    </li>
  )
}
