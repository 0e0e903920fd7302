import createDebug from 'debug'
import type { Source } from './contract.ts'

const debug = createDebug('dynacode:source')

/**
 * How many open instances use a source. No instance can know that by itself: the app may have given one source to several, and
 * the first of them to close must not take it from the others.
 */
const users = new WeakMap<Source, number>()

/**
 * Takes a source into use.
 *
 * @param longest_ms how long it may take to close
 * @returns gives it back; who does so last, closes it. Never rejects: what the app's own source throws then can stop nothing
 */
export function takeSource(source: Source, longest_ms: number): () => Promise<void> {
  users.set(source, (users.get(source) ?? 0) + 1)

  return async function giveBack() {
    const left = (users.get(source) ?? 1) - 1
    users.set(source, left)
    if (left > 0) return
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<void>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`no end after ${longest_ms} ms`)), longest_ms).unref()
    })
    try {
      await Promise.race([source.close?.(), late])
    } catch (error) {
      debug('close() of the source failed: %s', error)
    } finally {
      clearTimeout(timer)
    }
  }
}
