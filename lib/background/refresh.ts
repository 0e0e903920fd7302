import { DynacodeError } from '../errors.ts'
import type { NoUpdate, Update } from '../events/table.ts'
import { isFetchError } from './fetcher.ts'

/** The result of a refresh. */
export type Refresh = ({ readonly updated: true } & Update) | ({ readonly updated: false } & NoUpdate)

/** Where there is nothing to refresh any more. */
export function closedRefresh(): Refresh {
  const error = new DynacodeError('ERR_DYNACODE_CLOSED', 'dynacode is closed')
  return Object.freeze({ updated: false, reason: 'closed', error })
}

const REASONS: Partial<Record<DynacodeError['code'], NoUpdate['reason']>> = {
  ERR_DYNACODE_HELD: 'held',
  ERR_DYNACODE_SIGNATURE: 'untrusted',
  ERR_DYNACODE_VERSION: 'untrusted',
  ERR_DYNACODE_EXPIRED: 'untrusted',
}

/** Why a refresh changed nothing, by the error that ended it. */
export function reasonOf(error: unknown): NoUpdate['reason'] {
  if (isFetchError(error)) return 'fetch'
  return (error instanceof DynacodeError ? REASONS[error.code] : undefined) ?? 'invalid'
}
