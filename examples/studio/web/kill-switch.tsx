import { useState } from 'preact/hooks'
import type { LiveDomain, LivePlugin } from '../shared/live.ts'
import { query } from './api.ts'
import { Dialog } from './dialog.tsx'
import { SearchField, useAction } from './form.tsx'
import { Failed, Loading, usePages } from './load.tsx'
import { More } from './parts/more.tsx'
import { useDelayed } from './parts/page.ts'
import { useStudio, useStudioEvent } from './studio.tsx'

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
            ? 'It runs again within moments, in the version that is live.'
            : target.domain === undefined
              ? 'No plugin runs for any request, anywhere. Plugins that protect something stop protecting it.'
              : 'It stops running everywhere within moments. Nothing else is published. Open change sets stay as they are.'}
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
                say(`${name} was switched ${on ? 'on' : 'off'}: version ${version}`)
                refreshLive()
              })
              if (done) close()
            }}
          >
            {busy ? 'Please wait…' : on ? 'Switch on' : 'Switch off'}
          </button>
        </footer>
      </Dialog>
    )
  }
  return (
    <Dialog title="Kill switch" close={close} danger>
      {live?.version === 0 && <p class="notice">Nothing is live yet, so there is nothing to switch off.</p>}
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

/** Of each kind, as many as are shown before somebody asks for more. */
const PAGE = 12

/** Finds what is live, whatever change sets make of it. */
function Finder({ choose }: { choose(target: Target, on: boolean): void }) {
  const [search, setSearch] = useState('')
  const wanted = useDelayed(search, 100)
  const domains = usePages<LiveDomain>(
    (after, limit) => `/live/domains${query({ search: wanted, after: after?.id, limit })}`,
    PAGE / 2,
  )
  const plugins = usePages<LivePlugin>(
    (after, limit) => `/live/plugins${query({ search: wanted, after: after?.id, limit })}`,
    PAGE,
  )
  useStudioEvent('version', () => {
    domains.reload()
    plugins.reload()
  })
  const problem = domains.problem ?? plugins.problem
  return (
    <section aria-label="One domain or plugin">
      <SearchField label="Find a domain or plugin that is live" value={search} change={setSearch} />
      {problem && <Failed problem={problem} again={domains.problem ? domains.reload : plugins.reload} />}
      {domains.items === undefined && domains.loading && <Loading />}
      <ul class="targets">
        {domains.items?.map(({ id, name, plugins: count, enabled }) => (
          <Row
            key={id}
            name={name}
            kind={enabled === count ? `domain, ${count} on` : `domain, ${enabled} of ${count} on`}
            may={{ on: enabled < count, off: enabled > 0 }}
            choose={(on) => choose({ domain: name }, on)}
          />
        ))}
      </ul>
      <More of={domains} what="domains" by_sight={false} />
      <ul class="targets">
        {plugins.items?.map(({ id, name, domain, phase, enabled }) => (
          <Row
            key={id}
            name={name}
            kind={`${domain} · ${phase}`}
            may={{ on: !enabled, off: enabled }}
            choose={(on) => choose({ domain, plugin: name }, on)}
          />
        ))}
      </ul>
      <More of={plugins} what="plugins" by_sight={false} />
      {plugins.items?.length === 0 && domains.items?.length === 0 && (
        <p class="hint">{wanted === '' ? 'Nothing is live.' : 'Nothing live has that name.'}</p>
      )}
    </section>
  )
}

function Row({
  name,
  kind,
  may,
  choose,
}: {
  name: string
  kind: string
  may: { readonly on: boolean; readonly off: boolean }
  choose(on: boolean): void
}) {
  return (
    <li>
      <span class="what">
        <b>{name}</b> <small>{kind}</small>
      </span>
      {/* One thing for each row: what runs is switched off, and what does not, on. */}
      {!may.off && may.on && (
        <button type="button" onClick={() => choose(true)} aria-label={`Switch on ${name}`}>
          On
        </button>
      )}
      {may.off && (
        <button type="button" class="danger" onClick={() => choose(false)} aria-label={`Switch off ${name}`}>
          Off
        </button>
      )}
    </li>
  )
}
