import { randomUUID } from 'node:crypto'
import { link, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'

/** A process that was killed is taken to be gone after this long, in milliseconds. */
const GONE_AFTER_MS = 5000
const NOTED_EVERY_MS = 1500
/** One that was killed a moment ago is waited for. */
const TRIES = 15
const PAUSE_MS = 500

/**
 * Takes a folder for this process alone: two that write to one embedded database would destroy it. Who has it is a file beside it,
 * whose time says that the process is there: a number of a process says nothing to another container.
 *
 * @param lost told when another process has taken it, which took this one for gone
 * @param pause_ms between two tries
 * @returns gives it back
 * @throws Error when another process has it
 */
export async function lockFolder(
  folder: string,
  lost: (error: Error) => void,
  pause_ms = PAUSE_MS,
): Promise<() => Promise<void>> {
  const file = `${folder}.lock`
  const own = randomUUID()
  for (let tries = 0; !(await take(file, own)); tries += 1) {
    if (tries === TRIES) {
      throw new Error(
        `another studio uses the database in ${folder}; with DATABASE_URL, a PostgreSQL, any number may share one`,
      )
    }
    await sleep(pause_ms)
  }
  const timer = setInterval(async () => {
    const owner = await readFile(file, 'utf8').catch(({ code }) => (code === 'ENOENT' ? undefined : own))
    if (owner !== own) {
      clearInterval(timer)
      lost(new Error(`${file} ${owner === undefined ? 'is gone' : 'is another process’s'}`))
      return
    }
    const now = new Date()
    await utimes(file, now, now).catch(() => undefined)
  }, NOTED_EVERY_MS).unref()
  return async () => {
    clearInterval(timer)
    if ((await readFile(file, 'utf8').catch(() => undefined)) === own) await rm(file, { force: true })
  }
}

/** @returns whether it is ours */
async function take(file: string, own: string): Promise<boolean> {
  if (await create(file, own)) return true
  if (!(await isLeft(file))) return false
  // One at a time takes away what was left: another could take away what somebody has put in its place meanwhile.
  const clearing = `${file}.clearing`
  if (await create(clearing, own)) {
    try {
      // Of an earlier studio it is a folder.
      if (await isLeft(file)) await rm(file, { force: true, recursive: true })
    } finally {
      await rm(clearing, { force: true })
    }
  } else if (await isLeft(clearing)) await rm(clearing, { force: true })
  return create(file, own)
}

/** Makes a file: there with its content, or not at all. @returns whether there was none */
async function create(file: string, own: string): Promise<boolean> {
  const draft = `${file}.${own}`
  await writeFile(draft, own, { mode: 0o600 })
  try {
    await link(draft, file)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    return false
  } finally {
    await rm(draft, { force: true })
  }
}

/** Whether nobody has noted there for long that it is there. */
async function isLeft(file: string): Promise<boolean> {
  const found = await stat(file).catch(() => undefined)
  return found !== undefined && Date.now() - found.mtimeMs > GONE_AFTER_MS
}
