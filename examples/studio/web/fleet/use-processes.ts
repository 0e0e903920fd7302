import { useCallback, useEffect, useRef, useState } from 'preact/hooks'
import {
  compareProcesses,
  type Fleet,
  type FleetChange,
  type Headline,
  isFound,
  isGone,
  type Process,
} from '../../shared/fleet.ts'
import { type Problem, query } from '../api.ts'
import { useStudio } from '../studio.tsx'

/** A list of processes that follows what the studio tells of them. */
export interface Processes {
  readonly items: readonly Process[] | undefined
  readonly headline: Headline | undefined
  readonly problem: Problem | undefined
  readonly has_more: boolean
  readonly loading: boolean
  more(): void
  reload(): void
}

const PAGE = 50
/** As many as the API gives at once. */
const MOST = 200

interface Known {
  readonly of: string
  readonly items: readonly Process[]
  readonly next: number | null
}

/** Loads processes page by page, and puts in place what is different by the stream of events. */
export function useProcesses(kind: 'live' | 'gone', search: string): Processes {
  const { api, listen } = useStudio()
  const list = `${kind} ${search}`
  const [known, setKnown] = useState<Known>()
  const [headline, setHeadline] = useState<Headline>()
  const [problem, setProblem] = useState<Problem>()
  const [loading, setLoading] = useState(true)
  const [turn, setTurn] = useState(0)
  const newest = useRef(known)
  newest.current = known
  const reload = useCallback(() => setTurn((before) => before + 1), [])

  const load = (from: number, limit: number, signal?: AbortSignal) =>
    api.get<Fleet>(`/fleet${query({ kind, search, from, limit })}`, signal)

  useEffect(() => {
    const control = new AbortController()
    const shown = newest.current?.of === list ? newest.current.items.length : 0
    setLoading(true)
    load(0, Math.min(MOST, Math.max(PAGE, shown)), control.signal).then(
      (fleet) => {
        if (control.signal.aborted) return
        setKnown({ of: list, items: fleet.processes, next: fleet.next })
        setHeadline(fleet.headline)
        setProblem(undefined)
        setLoading(false)
      },
      (error) => {
        if (control.signal.aborted) return
        setProblem(error)
        setLoading(false)
      },
    )
    return () => control.abort()
  }, [api, list, turn])

  useEffect(
    () =>
      listen('fleet', (data) => {
        const change: FleetChange | undefined = data === undefined ? undefined : JSON.parse(data)
        if (change === undefined) return reload()
        setHeadline(change.headline)
        // So the studio greets a page that begins to watch.
        if (change.changed.length === 0 && change.gone.length === 0) return reload()
        return setKnown((before) => before && apply(before, change, kind, search))
      }),
    [listen, reload, kind, search],
  )

  const is_this = known?.of === list
  return {
    items: is_this ? known.items : undefined,
    headline,
    problem,
    has_more: is_this && known.next !== null,
    loading,
    reload,
    async more() {
      if (loading || !is_this || known.next === null) return
      setLoading(true)
      await load(known.items.length, PAGE).then(
        ({ processes, next }) =>
          setKnown(
            (before) =>
              before && (before.of === list ? { ...before, items: merge(before.items, processes), next } : before),
          ),
        setProblem,
      )
      setLoading(false)
    },
  }
}

function apply(known: Known, { changed, gone }: FleetChange, kind: 'live' | 'gone', search: string): Known {
  const touched = new Set([...gone, ...changed.map(({ id }) => id)])
  const wanted = changed.filter((process) => isGone(process) === (kind === 'gone') && isFound(process, search))
  const items = merge(
    known.items.filter(({ id }) => !touched.has(id)),
    wanted,
  )
  // What comes after the last one that is shown is on a later page.
  const last = known.items.at(-1)
  const shown =
    known.next === null || last === undefined ? items : items.filter((item) => compareProcesses(item, last) <= 0)
  return { ...known, items: shown }
}

function merge(a: readonly Process[], b: readonly Process[]): readonly Process[] {
  return [...new Map([...a, ...b].map((process) => [process.id, process])).values()].sort(compareProcesses)
}
