import { types } from 'node:util'
import { queue } from '../run/microtask.ts'
import type { Run } from '../run/record.ts'
import { promiseOf, type Rejections } from './rejections.ts'

/** Finds the promises among the values of runs, and claims them for these, however little room is left on the stack. */
export interface PromiseWatch {
  /** @param how 1: it was handed to somebody who may wait for it; 2: it is the value's `promise` */
  watch(run: Run, value: object, how?: 1 | 2): void
  /** A value is handed to somebody who may wait for it, or for `each` of what it holds. */
  giveAway(run: Run, value: object, each: boolean): void
  /** Claims now what there was no room for. */
  catchUp(): void
}

// Replaced later, by plugins or the app, this is still what it was.
const { isArray } = Array

/** Makes the watch over the values of one instance's runs. */
export function watchPromises(rejections: Rejections): PromiseWatch {
  const missed: { readonly run: Run; readonly value: object; readonly how: 1 | 2 | undefined }[] = []

  function watch(run: Run, value: object, how?: 1 | 2): void {
    try {
      const promise = promiseOf(value, how === 2)
      if (promise !== undefined) rejections.claim(run, promise, how === 1)
    } catch {
      // For want of room on the stack; what throws on being looked at with all of its room, nobody can wait for.
      missed.push({ run, value, how })
      queue(catchUp)
    }
  }

  function catchUp(): void {
    if (missed.length === 0) return
    for (const { run, value, how } of missed.splice(0)) {
      try {
        const promise = promiseOf(value, how === 2)
        if (promise !== undefined) rejections.claim(run, promise, how === 1)
      } catch {}
    }
  }

  function giveAway(run: Run, value: object, each: boolean): void {
    if (!each) watch(run, value, 1)
    else if (isArray(value) && !types.isProxy(value)) {
      for (const item of value) if (typeof item === 'object' && item !== null) watch(run, item, 1)
    }
  }

  return Object.freeze({ watch, giveAway, catchUp } satisfies PromiseWatch)
}
