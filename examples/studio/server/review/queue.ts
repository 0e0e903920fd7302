import { Problem } from '../problem.ts'
import type { Asking } from './asking.ts'

/** Of one account, so many wait at most. */
const MOST_OF_ACCOUNT = 10
/** Of all together. */
const MOST_WAITING = 200

interface Entry<T> {
  readonly work: T
  readonly asking: Asking
  readonly refuse: (error: Error) => void
}

/** What waits for one thing after the other to be done. */
export interface Queue<T> {
  /** @throws Problem where too much waits already */
  add(work: T, asking: Asking, refuse: (error: Error) => void): void
  /** What is next: what is urgent first, and of the rest each account in its turn. */
  next(): T | undefined
  /** Empties it. */
  take(): readonly Entry<T>[]
}

/** Makes one. What nobody waits for any more is dropped. */
export function createQueue<T>(): Queue<T> {
  let urgent: Entry<T>[] = []
  /** By account, in the order of their turns. */
  const others = new Map<number, Entry<T>[]>()
  const count = () => [...others.values()].reduce((sum, { length }) => sum + length, 0)

  function drop(entry: Entry<T>): void {
    const own = others.get(entry.asking.account_id)?.filter((each) => each !== entry) ?? []
    if (own.length === 0) others.delete(entry.asking.account_id)
    else others.set(entry.asking.account_id, own)
    urgent = urgent.filter((each) => each !== entry)
    entry.refuse(new Problem(499, 'nobody waits for this any more'))
  }

  return Object.freeze({
    add(work, asking, refuse) {
      const { account_id, signal, is_urgent } = asking
      const entry = { work, asking, refuse }
      if (is_urgent) {
        urgent.push(entry)
        return
      }
      const own = others.get(account_id) ?? []
      // The studio's own work is asked for by all.
      if (account_id !== 0 && own.length >= MOST_OF_ACCOUNT) throw busy('too many checks are running for your account')
      if (count() >= MOST_WAITING) throw busy('too many checks are running')
      if (signal?.aborted) throw new Problem(499, 'nobody waits for this any more')
      others.set(account_id, [...own, entry])
      signal?.addEventListener('abort', () => drop(entry), { once: true })
    },
    next() {
      const first = urgent.shift()
      if (first !== undefined) return first.work
      for (const [account_id, [entry, ...rest]] of others) {
        // Behind the others, who have their turn now.
        others.delete(account_id)
        if (rest.length > 0) others.set(account_id, rest)
        return entry?.work
      }
      return undefined
    },
    take() {
      const all = [...urgent, ...[...others.values()].flat()]
      urgent = []
      others.clear()
      return all
    },
  } satisfies Queue<T>)
}

const busy = (message: string) =>
  new Problem(503, `${message}; try again in a moment`, { headers: { 'Retry-After': '2' } })
