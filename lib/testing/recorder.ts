import { setImmediate as turn } from 'node:timers/promises'
import type { Dynacode } from '../dynacode.ts'
import type { EventName, Payload } from '../events/table.ts'
import { steadyNow } from '../time/steady-clock.ts'

/** An event, by its name and payload. */
export type RecordedEvent = { [N in EventName]: { readonly name: N; readonly payload: Payload<N> } }[EventName]

/** What an instance has emitted. */
export interface Recorder {
  readonly events: readonly RecordedEvent[]
  payloads<N extends EventName>(name: N): readonly Payload<N>[]
  /** Waits until no plugin runs, and no request is under way. */
  settled(isIdle: () => boolean): Promise<void>
}

/** The longest that anybody waits for what is under way, in milliseconds. */
const PATIENCE_MS = 10_000

/** Records every event from now on. */
export function createRecorder({ events: emitter }: Dynacode, names: readonly EventName[]): Recorder {
  const events: RecordedEvent[] = []
  let running = 0
  for (const name of names) {
    emitter.on(name, (payload: unknown) => {
      events.push({ name, payload } as RecordedEvent)
      if (name === 'rt_plugins_starting') running += 1
      // A plugin can fail without having run: its condition may throw.
      else if (name === 'rt_plugins_done' || name === 'rt_plugins_error') running = Math.max(0, running - 1)
    })
  }
  return Object.freeze({
    events,
    payloads: <N extends EventName>(wanted: N) =>
      events.flatMap(({ name, payload }) => (name === wanted ? [payload as Payload<N>] : [])),
    async settled(isIdle) {
      const until = steadyNow() + PATIENCE_MS
      // Twice in a row: between two plugins of a phase, none runs.
      for (let quiet = 0; quiet < 2; quiet = running === 0 && isIdle() ? quiet + 1 : 0) {
        await turn()
        if (steadyNow() < until) continue
        throw new Error(`settled(): ${running} plugins or a response are still under way after ${PATIENCE_MS} ms`)
      }
    },
  } satisfies Recorder)
}
