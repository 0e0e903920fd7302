import type { Actor } from '../auth/actor.ts'
import { Problem } from '../problem.ts'
import { putTogether } from '../review/document-parts.ts'
import type { Press } from './press.ts'
import { publish } from './publish.ts'
import type { Version } from './versions.ts'

/** What is switched: everything, a domain, or a plugin of a domain. */
export interface Switch {
  readonly domain?: string | undefined
  readonly plugin?: string | undefined
  readonly on: boolean
}

/**
 * Switches off, or on again, what is live: at once, whatever is open in change sets. Nobody switches it back by publishing one
 * of these: they change what they say of the plugin, and nothing else of it.
 *
 * @throws Problem
 */
export function throwSwitch(press: Press, actor: Actor, given: Switch): Promise<Version> {
  const { domain, plugin, on } = given
  const what = domain === undefined ? 'everything' : plugin === undefined ? domain : `${domain}/${plugin}`
  return publish(press, actor, 'switch', async (live) => {
    const document = await press.reviewer.takeApart(live.document, given)
    if (document === undefined) throw new Problem(404, `nothing live is called ${what}`)
    if (putTogether(document, {}) === live.document)
      throw new Problem(409, `${what} is already switched ${on ? 'on' : 'off'}`)
    const message = `${what} is switched ${on ? 'on' : 'off'}`
    return { message, document, details: given }
  })
}
