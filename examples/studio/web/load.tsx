import type { ComponentChildren } from 'preact'
import { useCallback, useEffect, useRef, useState } from 'preact/hooks'
import type { Api, Problem } from './api.ts'
import { useStudio } from './studio.tsx'

/** Something that is being loaded, was, or could not be. What was there before stays until there is something newer. */
export interface Loaded<T> {
  readonly value: T | undefined
  readonly problem: Problem | undefined
  readonly loading: boolean
  reload(): void
}

/** Loads from the API, anew whenever `path` is another. */
export function useLoad<T>(path: string | undefined): Loaded<T> {
  return useLoadBy<T>(path, (api, signal) => api.get<T>(path as string, signal))
}

/** @param key what is loaded; undefined: nothing */
function useLoadBy<T>(key: string | undefined, load: (api: Api, signal: AbortSignal) => Promise<T>): Loaded<T> {
  const { api } = useStudio()
  const [state, setState] = useState<{ key: string | undefined; value?: T; problem?: Problem; loading: boolean }>({
    key: undefined,
    loading: true,
  })
  const [turn, setTurn] = useState(0)
  const newest = useRef(load)
  newest.current = load
  useEffect(() => {
    if (key === undefined) return undefined
    const control = new AbortController()
    setState((before) => ({ ...(before.key === key ? before : {}), key, loading: true }))
    newest.current(api, control.signal).then(
      (value) => control.signal.aborted || setState({ key, value, loading: false }),
      (problem) => control.signal.aborted || setState((before) => ({ ...before, problem, loading: false })),
    )
    return () => control.abort()
  }, [api, key, turn])
  const reload = useCallback(() => setTurn((before) => before + 1), [])
  const { value, problem, loading } = state.key === key ? state : { loading: true }
  return { value, problem, loading, reload }
}

/** A list that is loaded page by page. */
export interface Pages<T> extends Omit<Loaded<readonly T[]>, 'value'> {
  readonly items: readonly T[] | undefined
  readonly has_more: boolean
  more(): void
}

/** As many as the API gives at once. */
const MOST = 200

/**
 * @param address of so many after an item, with how many there are until there; of the first ones without one. A list is another
 *   one when its first address is
 * @param size of a page
 */
export function usePages<T>(
  address: (after: T | undefined, limit: number, from: number) => string,
  size: number,
): Pages<T> {
  const { api } = useStudio()
  const list = address(undefined, size, 0)
  const [state, setState] = useState<{
    of: string
    items?: readonly T[]
    has_more: boolean
    problem?: Problem
    loading: boolean
  }>({ of: '', has_more: false, loading: true })
  const [turn, setTurn] = useState(0)
  const known = useRef(state)
  known.current = state
  const newest = useRef(address)
  newest.current = address

  useEffect(() => {
    const control = new AbortController()
    setState((before) => ({ ...before, loading: true }))
    // Who had scrolled far down stays there.
    const wanted = known.current.of === list ? Math.max(size, known.current.items?.length ?? 0) : size
    const load = async () => {
      const items: T[] = []
      for (;;) {
        const limit = Math.min(MOST, wanted - items.length)
        const next = await api.get<readonly T[]>(newest.current(items.at(-1), limit, items.length), control.signal)
        items.push(...next)
        if (next.length < limit || items.length >= wanted) return { items, has_more: next.length === limit }
      }
    }
    load().then(
      (loaded) => control.signal.aborted || setState({ of: list, ...loaded, loading: false }),
      (problem) => control.signal.aborted || setState((before) => ({ ...before, of: list, problem, loading: false })),
    )
    return () => control.abort()
  }, [api, list, size, turn])

  async function more() {
    const { items = [], loading, of } = state
    if (loading || of !== list) return
    setState((before) => ({ ...before, loading: true }))
    try {
      const next = await api.get<readonly T[]>(address(items.at(-1), size, items.length))
      setState((before) =>
        before.of === of && (before.items ?? items) === items
          ? { of, items: [...items, ...next], has_more: next.length === size, loading: false }
          : before,
      )
    } catch (problem) {
      setState((before) => ({ ...before, problem: problem as Problem, loading: false }))
    }
  }
  const reload = useCallback(() => setTurn((before) => before + 1), [])
  const { items, has_more, problem, loading } = state
  return { items, has_more, problem, loading, reload, more }
}

/** Shows what was loaded; what to wait for, or what is wrong, where nothing was. */
export function Show<T>({ of, children }: { of: Loaded<T>; children: (value: T) => ComponentChildren }) {
  const { value, problem, reload } = of
  return (
    <>
      {problem && <Failed problem={problem} again={reload} />}
      {value === undefined ? problem === undefined && <Loading /> : children(value)}
    </>
  )
}

export function Loading() {
  return (
    <p class="state" role="status">
      <span class="spinner" aria-hidden="true" /> Loading…
    </p>
  )
}

export function Failed({ problem, again }: { problem: Error; again?: () => void }) {
  return (
    <div class="notice failed" role="alert">
      <span>{sentence(problem.message)}</span>
      {again && (
        <button type="button" onClick={again}>
          Try again
        </button>
      )}
    </div>
  )
}

export function Empty({ children }: { children: ComponentChildren }) {
  return <div class="state empty">{children}</div>
}

/** A message of the API as a sentence. */
export function sentence(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1)
}
