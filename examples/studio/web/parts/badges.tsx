import type { Fields } from '../../shared/draft.ts'

/** What is unusual about a plugin, in a word each. */
export function Badges({ fields }: { fields: Fields }) {
  const { enabled, mode, rollout, starts_at, expires_at, on_failure, when } = fields
  const percent = (rollout as { percent?: number } | null | undefined)?.percent
  const now = Date.now()
  return (
    <>
      {enabled === false && <span class="badge bad">off</span>}
      {mode === 'shadow' && <span class="badge">shadow</span>}
      {percent !== undefined && percent < 100 && <span class="badge">{percent} %</span>}
      {typeof starts_at === 'string' && Date.parse(starts_at) > now && <span class="badge">scheduled</span>}
      {typeof expires_at === 'string' && (
        <span class={Date.parse(expires_at) < now ? 'badge bad' : 'badge'}>
          {Date.parse(expires_at) < now ? 'expired' : 'expires'}
        </span>
      )}
      {when !== undefined && when !== null && <span class="badge">conditions</span>}
      {on_failure === 'closed' && <span class="badge">fails closed</span>}
    </>
  )
}
