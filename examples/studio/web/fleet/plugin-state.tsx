import type { PluginActivity } from '../../shared/fleet.ts'
import { Ago } from '../parts/time.tsx'
import { useMay, useStudio } from '../studio.tsx'

/** Switches a plugin off, by the kill switch and its rules; nothing for those who may not. */
export function OffButton({ of: { domain, name, is_off } }: { of: PluginActivity }) {
  const { openKillSwitch } = useStudio()
  const may_publish = useMay('publisher')
  if (!may_publish || is_off || name === 'other') return null
  return (
    <button
      type="button"
      class="danger"
      aria-label={`Switch off ${name} in ${domain}`}
      onClick={() => openKillSwitch({ domain, plugin: name })}
    >
      Off
    </button>
  )
}

/** Who answers for a plugin, and where it says what to do; nothing where it does not say. */
export function Contacts({ of: { owner, runbook } }: { of: PluginActivity }) {
  if (owner === null && runbook === null) return null
  return (
    <p class="contacts">
      {owner !== null && (
        <span>
          Owner: <b>{owner}</b>
        </span>
      )}
      {runbook !== null && (
        <a href={runbook} target="_blank" rel="noreferrer">
          Runbook
        </a>
      )}
    </p>
  )
}

/** What a plugin failed of last, where in its code, and when. */
export function LastError({
  of: { at, code, message, line, column, outcome, host, pid },
}: {
  of: NonNullable<PluginActivity['last_error']>
}) {
  return (
    <p class="last-error">
      <span class="problem">{message}</span>{' '}
      <small>
        {line !== null && (
          <>
            <b>
              line {line}
              {column === null ? '' : `:${column}`}
            </b>{' '}
            ·{' '}
          </>
        )}
        <Ago at={at} /> · {host}, pid {pid}
        {code === null ? '' : ` · ${code}`} · {outcome === 'closed' ? 'the request got 503' : 'the request went on'}
      </small>
    </p>
  )
}
