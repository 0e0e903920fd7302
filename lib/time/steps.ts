/** Work that can be cancelled between any two of its steps. What it makes is what it returns. */
export type Steps<T> = Generator<undefined, T, undefined>

/** Bytes that are hashed or copied without a pause: less than half a millisecond. */
export const STRETCH = 262_144

/** Items that are gone over without a pause, where there is next to nothing to be done with each: as long. */
export const KNOWN_STRETCH = 4096

/** Does all of some work at once. */
export function runSteps<T>(steps: Steps<T>): T {
  let step = steps.next()
  while (step.done !== true) step = steps.next()
  return step.value
}
