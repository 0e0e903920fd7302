/** How often a process that waits for another one looks again. */
const LOOK_AGAIN_MS = 50

/** Where a process waits for its turn. */
export interface WaitingRoom {
  /** Resolves after a moment, or at once when the signal aborts or the room closes. Holds no process. */
  pause(signal: AbortSignal): Promise<void>
  close(): void
}

export function openWaitingRoom(): WaitingRoom {
  const waiting = new Set<() => void>()

  return Object.freeze({
    pause: (signal) =>
      new Promise((resolve) => {
        const wake = () => {
          clearTimeout(timer)
          waiting.delete(wake)
          signal.removeEventListener('abort', wake)
          resolve()
        }
        const timer = setTimeout(wake, LOOK_AGAIN_MS).unref()
        waiting.add(wake)
        signal.addEventListener('abort', wake)
      }),
    close() {
      for (const wake of waiting) wake()
    },
  } satisfies WaitingRoom)
}
