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

/**
 * @param address of the page after an item; of the first page without one
 * @param size of a page
 */
export function usePages<T>(address: (after: T | undefined) => string, size: number): Pages<T> {
  const { api } = useStudio()
  const first = address(undefined)
  const [state, setState] = useState<{
    of: string
    items?: readonly T[]
    has_more: boolean
    problem?: Problem
    loading: boolean
  }>({ of: '', has_more: false, loading: true })
  const [turn, setTurn] = useState(0)
  useEffect(() => {
    const control = new AbortController()
    setState((before) => ({ ...before, loading: true }))
    api.get<readonly T[]>(first, control.signal).then(
      (items) =>
        control.signal.aborted || setState({ of: first, items, has_more: items.length === size, loading: false }),
      (problem) => control.signal.aborted || setState((before) => ({ ...before, of: first, problem, loading: false })),
    )
    return () => control.abort()
  }, [api, first, size, turn])

  async function more() {
    const { items = [], loading, of } = state
    if (loading || of !== first) return
    setState((before) => ({ ...before, loading: true }))
    try {
      const next = await api.get<readonly T[]>(address(items.at(-1)))
      setState((before) =>
        before.of === of ? { of, items: [...items, ...next], has_more: next.length === size, loading: false } : before,
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
