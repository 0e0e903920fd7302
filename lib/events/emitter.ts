import { EventEmitter } from 'node:events'
import createDebug from 'debug'
import { type Clock, SYSTEM_CLOCK } from '../time/clock.ts'
import { CALLBACKS, type Callbacks, type EventName, type EventTable, type Payload } from './table.ts'
import { watchNames } from './unknown-names.ts'

const debug = createDebug('dynacode:events')

/** `dyna.events`: Node's emitter, typed by the table of events. */
export type DynacodeEmitter = EventEmitter<{ [N in EventName]: [Payload<N>] }> & Listening

/** Of a wrong name, Node's own types only say that its listener cannot be; these list the names that there are. */
interface Listening {
  on<N extends EventName>(name: N, listener: (payload: Payload<N>) => unknown): DynacodeEmitter
  once<N extends EventName>(name: N, listener: (payload: Payload<N>) => unknown): DynacodeEmitter
}

type Listener<N extends EventName> = (payload: Payload<N>) => unknown

const OWN = Symbol('dynacode')

/** Marks a listener of dynacode's own: it is there whether or not the app listens. */
export function ownListener<L extends (payload: never) => unknown>(listener: L): L {
  return Object.defineProperty(listener, OWN, { value: true })
}

/** Whether a listener is dynacode's own. */
const isOwnListener = (listener: object): boolean => OWN in listener

/** The emitter and the only way in which dynacode itself emits. */
export interface Events {
  readonly emitter: DynacodeEmitter
  /** Whether anybody listens: ask before making a payload on the request path. */
  has(name: EventName): boolean
  /** Whether to emit has an effect: somebody listens, or what the app does not listen for goes elsewhere. */
  reaches(name: EventName): boolean
  /** Hands over what the app has no listener for. */
  setUnheard(listener: (name: EventName, payload: object) => void): void
  /**
   * Calls every listener; none of them can harm the caller or the next listener.
   *
   * @param payload taken over: it is stamped and frozen itself, because to copy it costs ten times as much
   */
  emit<N extends EventName>(name: N, payload: EventTable[N]): void
  /** Ends all emitting, for good. */
  close(): void
}

/**
 * Makes the events of one instance, with the callbacks of its options as first listeners.
 */
export function createEvents(callbacks: Callbacks, clock: Clock = SYSTEM_CLOCK): Events {
  const emitter = new EventEmitter() as DynacodeEmitter
  emitter.setMaxListeners(0)
  let closed = false

  let unheard: ((name: EventName, payload: object) => void) | null = null
  const has = (name: EventName) => emitter.listenerCount(name) > 0
  const reaches = (name: EventName) => unheard !== null || has(name)

  const failed = (name: EventName, error: unknown) => {
    debug('a listener of %s threw: %O', name, error)
    if (name !== 'on_error') emit('on_error', { section: 'listener', error })
  }

  function emit<N extends EventName>(name: N, payload: EventTable[N]): void {
    if (closed || !reaches(name)) return
    const stamped = payload as Payload<N>
    ;(payload as { at: number }).at = clock.now()
    Object.freeze(payload)
    const listeners = emitter.rawListeners(name) as Listener<N>[]
    if (unheard !== null && listeners.every(isOwnListener)) unheard(name, stamped)
    for (const listener of listeners) {
      // A listener before this one may have called close().
      if (closed) return
      try {
        const result = listener.call(emitter, stamped)
        if (result instanceof Promise) result.catch((error) => failed(name, error))
      } catch (error) {
        failed(name, error)
      }
    }
  }

  watchNames(emitter, (error) => emit('on_error', { section: 'listener', error }))
  for (const name of Object.keys(CALLBACKS) as EventName[]) {
    const callback = callbacks[CALLBACKS[name]]
    if (callback !== undefined) emitter.on(name, callback as never)
  }

  return Object.freeze({
    emitter,
    has,
    reaches,
    setUnheard(listener: (name: EventName, payload: object) => void) {
      unheard = listener
    },
    emit,
    close() {
      closed = true
    },
  })
}
