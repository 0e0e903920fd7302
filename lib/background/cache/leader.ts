import nodeFs from 'node:fs'
import createDebug from 'debug'
import { createPlace } from './file.ts'
import { openLease } from './lease.ts'
import { identifyThisProcess } from './process-identity.ts'

const debug = createDebug('dynacode:leader')

/** Time between two looks at who leads, in milliseconds. */
const LOOK_EVERY_MS = 500
/** Who has not looked for this long leads no more, in milliseconds: it may be on a machine whose processes cannot be seen from here. */
const STALE_MS = 15_000

/** A share in who leads. */
export interface Lead {
  /** Whether this process is the one. */
  leads(): boolean
  /** Gives the lead up, for good. */
  stop(): void
}

/**
 * Has one process of a machine do something for all of them: the one that holds a lease beside the cache. When it ends,
 * another one takes over within about a second.
 *
 * @param path of the cache that they share
 * @param lead begins; what it returns ends it. Where the disk allows no lease, everybody leads
 */
export function shareLead(path: string, lead: () => () => void): Lead {
  const lease = openLease(createPlace(nodeFs, `${path}.lead`, identifyThisProcess()))
  let end: (() => void) | undefined
  let timer: NodeJS.Timeout | undefined

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
    timer = setTimeout(look, LOOK_EVERY_MS * (0.8 + Math.random() * 0.4)).unref()
  }

  function tryLead(): boolean {
    try {
      return lease.take(STALE_MS)
    } catch (error) {
      debug('no lease beside %s: %s', path, (error as Error).message)
      return true
    }
  }

  look()
  return Object.freeze({
    leads: () => end !== undefined,
    stop() {
      clearTimeout(timer)
      end?.()
      end = undefined
      try {
        lease.release()
      } catch {
        // It is over soon.
      }
    },
  } satisfies Lead)
}
