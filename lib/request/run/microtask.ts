// Replaced or deleted later, by plugins or the app, these are still what they were.
const { apply, defineProperty } = Reflect
const { then } = Promise.prototype
const RESOLVED = Promise.resolve()
// So `then` asks nobody of what class its result is to be: a plugin may have replaced what would tell.
defineProperty(RESOLVED, 'constructor', { value: undefined })

/**
 * Queues a microtask. Unlike `queueMicrotask` of Node, whose own functions need room on the stack, this works where a
 * plugin has all but used that up. What the task throws becomes a rejection that nobody handles: it must not throw.
 */
export function queue(task: () => void): void {
  apply(then, RESOLVED, [task])
}
