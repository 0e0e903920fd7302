import { useEffect, useState } from 'preact/hooks'
import type { PluginActivity, PluginsActivity } from '../../shared/fleet.ts'
import { query } from '../api.ts'
import { SearchField } from '../form.tsx'
import { Show, useLoad } from '../load.tsx'
import { useDelayed } from '../parts/page.ts'
import { Link } from '../router.tsx'
import { useStudioEvent } from '../studio.tsx'
import { Contacts, LastError, OffButton } from './plugin-state.tsx'

const PAGE = 20
/** Rates are looked at anew as often as this, in milliseconds. */
export const RATES_EVERY_MS = 10_000

/** What each plugin does at this time, in all processes together: trouble first. */
export function PluginList() {
  const [search, setSearch] = useState('')
  const wanted = useDelayed(search, 150)
  const [limit, setLimit] = useState(PAGE)
  const loaded = useLoad<PluginsActivity>(`/fleet/plugins${query({ search: wanted, limit })}`)
  const { reload } = loaded
  useEffect(() => {
    const timer = setInterval(reload, RATES_EVERY_MS)
    return () => clearInterval(timer)
  }, [reload])
  // A breaker that opens is not waited for.
  useStudioEvent('fleet', reload, 2000)
  return (
    <section aria-label="Plugin activity">
      <div class="head">
        <h2>Plugin activity</h2>
        <SearchField label="Find a plugin" value={search} change={setSearch} />
      </div>
      <Show of={loaded}>
        {({ plugins, next, minutes }) =>
          plugins.length === 0 ? (
            <p class="hint">{wanted === '' ? `No plugin ran in the last ${minutes} minutes.` : 'No plugin found.'}</p>
          ) : (
            <>
              <ul class="activity">
                {plugins.map((plugin) => (
                  <PluginRow key={`${plugin.domain} ${plugin.name} ${plugin.phase}`} of={plugin} />
                ))}
              </ul>
              {next !== null && limit < 200 && (
                <button type="button" class="more" onClick={() => setLimit(Math.min(200, limit + 50))}>
                  More plugins
                </button>
              )}
              <p class="hint">Rates of the last {minutes} minutes, all processes together.</p>
            </>
          )
        }
      </Show>
    </section>
  )
}

function PluginRow({ of: plugin }: { of: PluginActivity }) {
  const { domain, name, phase, condition, text, is_off, last_error } = plugin
  const href = `/fleet/plugin${query({ domain, plugin: name, phase })}`
  return (
    <li class={`card ${condition}`}>
      <span class="what">
        <Link href={href}>
          <b>{name}</b>
        </Link>{' '}
        <small>
          {domain} · {phase}
        </small>
      </span>
      <span class={`badge ${is_off ? '' : condition}`}>{is_off ? 'switched off' : text}</span>
      <Rates of={plugin} />
      <OffButton of={plugin} />
      {condition !== 'good' && last_error && <LastError of={last_error} />}
      {condition !== 'good' && <Contacts of={plugin} />}
    </li>
  )
}

/** Rates and durations of a plugin, each with its name. */
export function Rates({ of: { calls, errors, exits, p50_ms, p99_ms } }: { of: PluginActivity }) {
  return (
    <dl class="rates">
      <Rate name="calls/s" value={format(calls)} />
      <Rate name="errors/s" value={format(errors)} is_bad={errors > 0} />
      <Rate name="exits/s" value={format(exits)} />
      <Rate name="p50" value={p50_ms === null ? '–' : `${format(p50_ms)} ms`} />
      <Rate name="p99" value={p99_ms === null ? '–' : `${format(p99_ms)} ms`} />
    </dl>
  )
}

function Rate({ name, value, is_bad = false }: { name: string; value: string; is_bad?: boolean }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd class={is_bad ? 'problem' : undefined}>{value}</dd>
    </div>
  )
}

/** A number as short as it can be read. */
export function format(value: number): string {
  if (value === 0) return '0'
  if (value < 0.01) return '<0.01'
  return value.toLocaleString('en', { maximumFractionDigits: value < 10 ? 2 : value < 100 ? 1 : 0 })
}
