import { AsyncLocalStorage } from 'node:async_hooks'

/** For whom something is done. */
export interface Asking {
  /** Whose share it is of; 0: the studio's own. */
  readonly account_id: number
  /** Aborted when nobody waits for it any more. */
  readonly signal?: AbortSignal | undefined
  /** Whether it goes before everything else: what publishes, and what switches off. */
  readonly is_urgent: boolean
}

const storage = new AsyncLocalStorage<Asking>()
const STUDIO: Asking = Object.freeze({ account_id: 0, is_urgent: false })

/** For whom the code is running that asks. */
export function whoAsks(): Asking {
  return storage.getStore() ?? STUDIO
}

/** Runs something for somebody. */
export function askFor<T>(asking: Asking, run: () => T): T {
  return storage.run(asking, run)
}

/** Runs what several will use: it is in nobody's share, and goes on though the first one who asked has gone. */
export function askForAll<T>(run: () => T): T {
  return storage.run({ ...STUDIO, is_urgent: whoAsks().is_urgent }, run)
}
