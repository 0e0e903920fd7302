import nodeFs from 'node:fs'
import createDebug from 'debug'
import { steadyNow } from '../../time/steady-clock.ts'
import { createPlace } from './file.ts'
import { openLock } from './lock.ts'
import { identifyThisProcess } from './process-identity.ts'

const debug = createDebug('dynacode:leader')

/** Time between two looks at who leads, in milliseconds. */
const LOOK_EVERY_MS = 1000
/** A leader renews its lead so often, in milliseconds: it may be on a machine whose processes cannot be seen from here. */
const RENEW_EVERY_MS = 5000
/** Who has not done so for this long leads no more, in milliseconds. */
const STALE_MS = 15_000

/**
 * Has one process of a machine do something for all of them: the one that holds a lock beside the cache. When it ends,
 * another one takes over within about a second.
 *
 * @param path of the cache that they share
 * @param lead begins; what it returns ends it. Where the disk allows no lock, everybody leads
 * @returns gives up the lead, for good
 */
export function shareLead(path: string, lead: () => () => void): () => void {
  const lock = openLock(createPlace(nodeFs, `${path}.lead`, identifyThisProcess()))
  let token: string | undefined
  let taken_at = 0
  let end: (() => void) | undefined
  let stopped = false

  function look(): void {
    const leads = tryLead()
    if (leads && end === undefined) {
      debug('this process leads')
      end = lead()
    } else if (!leads && end !== undefined) {
      debug('another process leads')
      end()
      end = undefined
    }
    if (!stopped) timer = setTimeout(look, LOOK_EVERY_MS * (0.8 + Math.random() * 0.4)).unref()
  }

  function tryLead(): boolean {
    try {
      if (token !== undefined && steadyNow() - taken_at > RENEW_EVERY_MS) giveBack()
      if (token !== undefined) return lock.isHeld(token) === true
      token = lock.take(STALE_MS)
      taken_at = steadyNow()
      return token !== undefined
    } catch (error) {
      debug('no lock beside %s: %s', path, (error as Error).message)
      token = undefined
      return true
    }
  }

  function giveBack(): void {
    if (token !== undefined) lock.release(token)
    token = undefined
  }

  let timer: NodeJS.Timeout | undefined
  look()
  return () => {
    stopped = true
    clearTimeout(timer)
    end?.()
    end = undefined
    try {
      giveBack()
    } catch {
      // It is stale soon.
    }
  }
}
