import { lock } from 'proper-lockfile'

/** A process that was killed is taken to be gone after this long, in milliseconds. */
const GONE_AFTER_MS = 5000
const NOTED_EVERY_MS = 1500
/** One that was killed a moment ago is waited for. */
const TRIES = { retries: 15, minTimeout: 500, maxTimeout: 500 }

/**
 * Takes a folder for this process alone: two that write to one embedded database would destroy it.
 *
 * @param lost told when another process has taken it, which took this one for gone
 * @returns gives it back
 * @throws Error when another process has it
 */
export async function lockFolder(folder: string, lost: (error: Error) => void): Promise<() => Promise<void>> {
  try {
    return await lock(folder, { stale: GONE_AFTER_MS, update: NOTED_EVERY_MS, retries: TRIES, onCompromised: lost })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ELOCKED') throw error
    const message = `another studio uses the database in ${folder}; with DATABASE_URL, a PostgreSQL, any number may share one`
    throw new Error(message, { cause: error })
  }
}
