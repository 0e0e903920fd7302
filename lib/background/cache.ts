import type { DynacodeError } from '../errors.ts'
export interface CacheEntry {
  readonly bytes: Uint8Array
  readonly tag: string | undefined
  readonly version: number | string
  readonly validated_at: number
  readonly sha1: string
}
export interface Cache {
  read(): readonly CacheEntry[]
  fresh(max_age_ms: number): CacheEntry | undefined
  write(entry: { bytes: Uint8Array; tag: string | undefined; version: number | string; sha1: string }): boolean
  touch(sha1: string, tag: string | undefined): void
  lock(options: { max_age_ms: number; stale_ms: number; signal: AbortSignal }): Promise<(() => void) | undefined>
  highest_version(): number | undefined
  note_version(version: number): void
  close(): void
}
export function createCache(_options: {
  path: string
  max_bytes: number
  report: (error: DynacodeError) => void
}): Cache {
  throw new Error('not yet')
}
