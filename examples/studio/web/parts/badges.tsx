import type { Fields } from '../../shared/changes.ts'
import { Ago } from './time.tsx'

/** What is unusual about a plugin, in a word each, beside how it is switched. */
export function Badges({ fields }: { fields: Fields }) {
  const { starts_at, expires_at, on_failure, when } = fields
  const now = Date.now()
  return (
    <>
      {typeof starts_at === 'string' && Date.parse(starts_at) > now && <span class="badge">scheduled</span>}
      {typeof expires_at === 'string' && !Number.isNaN(Date.parse(expires_at)) && (
        <span class={Date.parse(expires_at) < now ? 'badge bad' : 'badge'}>
          {Date.parse(expires_at) < now ? 'expired' : 'expires'} <Ago at={expires_at} />
        </span>
      )}
      {when !== undefined && when !== null && <span class="badge">conditions</span>}
      {on_failure === 'closed' && <span class="badge">fails closed</span>}
    </>
  )
}
