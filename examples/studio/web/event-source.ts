import { query } from './api.ts'
import type { StudioEvent } from './studio.tsx'

const EVENTS: readonly StudioEvent[] = ['version', 'change', 'report', 'fleet']
/** Pause before a stream that the browser has given up is opened anew, in milliseconds. */
const PAUSE_MS = 3000

/**
 * Hears what the studio tells of, for as long as the page is open.
 *
 * @param watch what every difference of is told, as `fleet`
 * @param again whether it was heard before: what happened since was missed
 * @param heard told of each event; after an interruption of all of them, for whatever happened meanwhile was missed
 * @param connected told whether the studio can be reached
 * @param refused told when the studio or a proxy has answered with something else: the session may have ended
 * @returns ends it
 */
export function openEvents({
  watch,
  again,
  heard,
  connected,
  refused,
}: {
  watch: 'fleet' | undefined
  again: boolean
  heard(event: StudioEvent, data?: string): void
  connected(is: boolean): void
  refused(): void
}): () => void {
  let was_gone = again
  let timer: ReturnType<typeof setTimeout> | undefined
  let source = open()

  function open(): EventSource {
    const own = new EventSource(`/api/events${query({ watch })}`)
    own.onopen = () => {
      connected(true)
      if (was_gone) for (const event of EVENTS) heard(event)
      was_gone = false
    }
    own.onerror = () => {
      was_gone = true
      connected(false)
      // A stream that breaks is opened anew by the browser itself; one that was answered with an error is not.
      if (own.readyState !== EventSource.CLOSED) return
      refused()
      timer = setTimeout(() => {
        source = open()
      }, PAUSE_MS)
    }
    for (const event of EVENTS) own.addEventListener(event, ({ data }) => heard(event, data))
    return own
  }

  return () => {
    clearTimeout(timer)
    source.close()
  }
}
