import assert from 'node:assert/strict'
import { setTimeout as pause } from 'node:timers/promises'
import type { Bench } from './bench.ts'

/** Uses the source in every way, and closes it. */
export async function useAndClose({ source, publish, fetch, settle, limits }: Bench): Promise<void> {
  await publish('one')
  const stop = source.watch?.(() => undefined)
  await fetch()
  // Time for the watch to take hold of what it is going to hold.
  await pause(limits.quiet_ms)
  stop?.()
  const failed = (error: unknown) => assert.fail(`close(): expected no error, got ${error}`)
  await settle(
    async () =>
      Promise.resolve()
        .then(() => source.close?.())
        .catch(failed),
    'close()',
  )
}

/** What keeps this process alive, by its kind: sockets, timers, watched files. */
export function countResources(): ReadonlyMap<string, number> {
  const counts = new Map<string, number>()
  for (const kind of process.getActiveResourcesInfo()) counts.set(kind, (counts.get(kind) ?? 0) + 1)
  return counts
}

/** What there is more of now than there was before, in words; undefined when there is nothing. */
export function describeMore(before: ReadonlyMap<string, number>): string | undefined {
  const more = [...countResources()]
    .map(([kind, count]) => [kind, count - (before.get(kind) ?? 0)] as const)
    .filter(([, count]) => count > 0)
  return more.length === 0 ? undefined : more.map(([kind, count]) => `${count} ${kind}`).join(', ')
}
