import { createContext } from 'preact'
import { useContext, useEffect, useRef } from 'preact/hooks'
import type { Live } from '../shared/live.ts'
import type { Session } from '../shared/people.ts'
import { PERSON_ROLES, type PersonRole } from '../shared/roles.ts'
import type { Api } from './api.ts'

export type StudioEvent = 'version' | 'change' | 'report' | 'fleet'

/** What every page works with. */
export interface StudioPage {
  readonly api: Api
  readonly session: Session
  /** Undefined until it is known. */
  readonly live: Live | undefined
  /** The change set that is worked in; undefined: none yet, and the first change starts one. */
  readonly set: number | undefined
  workIn(set: number | undefined): void
  refreshLive(): void
  /** Tells somebody that something was done. */
  say(message: string, kind?: 'done' | 'failed'): void
  /**
   * @param heard called with what the event says; without it where an event may have been missed
   * @returns what ends it
   */
  listen(event: StudioEvent, heard: (data?: string) => void): () => void
  openKillSwitch(what?: { domain: string; plugin?: string }): void
}

const StudioContext = createContext<StudioPage | undefined>(undefined)
export const StudioProvider = StudioContext.Provider

export function useStudio(): StudioPage {
  return useContext(StudioContext) as StudioPage
}

/** Whether who is signed in may do what a role may. */
export function useMay(role: PersonRole): boolean {
  return PERSON_ROLES.indexOf(useStudio().session.role) >= PERSON_ROLES.indexOf(role)
}

/**
 * Calls when the studio tells of something.
 *
 * @param wait_ms for how long more of it is waited for, where many come at once
 */
export function useStudioEvent(event: StudioEvent, heard: () => void, wait_ms = 0): void {
  const { listen } = useStudio()
  const newest = useRef(heard)
  newest.current = heard
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined
    const unlisten = listen(event, () => {
      timer ??= setTimeout(() => {
        timer = undefined
        newest.current()
      }, wait_ms)
    })
    return () => {
      clearTimeout(timer)
      unlisten()
    }
  }, [listen, event, wait_ms])
}
