const { apply } = Reflect
const doNothing = () => undefined

/** So many arguments take 4 KiB of the stack: more than Node needs for what it does when a promise is rejected or handled. */
const MUCH: readonly unknown[] = Object.freeze(new Array(512).fill(0))

/**
 * Sees to it that the stack has room for what Node does when a promise is rejected, or is handled after that. Without room,
 * Node loses sight of the handler, and ends the process for want of one.
 *
 * @throws RangeError as a call does that the stack has no room for
 */
export function demandRoom(): void {
  apply(doNothing, undefined, MUCH)
}
