import { useCallback, useEffect, useState } from 'preact/hooks'
import type { ChangeSet } from '../../shared/changes.ts'
import { query } from '../api.ts'
import { useLoad } from '../load.tsx'
import { Link, usePlace } from '../router.tsx'
import { useMay, useStudio, useStudioEvent } from '../studio.tsx'
import { countChanges } from './words.ts'

const KEY = 'change set'
/** Of open change sets, as many as can be chosen here; the page Changes has all. */
const MOST = 100

/** The change set that this tab works in: kept through reloads, and taken from the address where that names one. */
export function useWorkingSet(search: URLSearchParams): [number | undefined, (set: number | undefined) => void] {
  const named = Number(search.get('set')) || undefined
  const [set, setSet] = useState<number | undefined>(() => named ?? (Number(read()) || undefined))
  const workIn = useCallback((next: number | undefined) => {
    setSet(next)
    write(next)
  }, [])
  useEffect(() => {
    if (named !== undefined) workIn(named)
  }, [named, workIn])
  return [set, workIn]
}

function read(): string | null {
  try {
    return sessionStorage.getItem(KEY)
  } catch {
    return null
  }
}

function write(set: number | undefined): void {
  try {
    if (set === undefined) sessionStorage.removeItem(KEY)
    else sessionStorage.setItem(KEY, String(set))
  } catch {
    // It lasts as long as the page.
  }
}

/** What the pages show: what is live, or a change set; and the way to another one. */
export function SetBar() {
  const { set, workIn, say } = useStudio()
  const { path, search, go } = usePlace()
  const may_write = useMay('author')
  const sets = useLoad<readonly ChangeSet[]>(`/sets${query({ limit: MOST })}`)
  const own = useLoad<ChangeSet>(set === undefined ? undefined : `/sets/${set}`)
  useStudioEvent(
    'change',
    () => {
      sets.reload()
      own.reload()
    },
    200,
  )
  const closed = own.value !== undefined && own.value.id === set && own.value.state !== 'open'
  const is_gone = own.problem?.status === 404
  // What was published is what is live.
  useEffect(() => {
    if (!closed && !is_gone) return
    workIn(undefined)
  }, [closed, is_gone])

  if (!SHOWN.some((each) => (each === '/' ? path === '/' : path.startsWith(each)))) return null
  const open = sets.value ?? []
  const current = own.value?.id === set ? own.value : undefined
  if (!may_write && open.length === 0) return null
  return (
    <section class={`set-bar ${set === undefined ? '' : 'working'}`} aria-label="Change set">
      <label>
        <span>Showing</span>{' '}
        <select
          aria-label="Showing"
          value={set ?? ''}
          onChange={({ currentTarget: { value } }) => {
            workIn(Number(value) || undefined)
            search.delete('set')
            go(path + (search.size === 0 ? '' : `?${search}`), { replace: true })
            if (value === '') say('Showing what is live')
          }}
        >
          <option value="">live{may_write ? ' (your first change starts a change set)' : ''}</option>
          {current && !open.some(({ id }) => id === current.id) && <option value={current.id}>{current.name}</option>}
          {open.map(({ id, name, created_by }) => (
            <option key={id} value={id}>
              {name} · {created_by}
            </option>
          ))}
        </select>
      </label>
      {current && (
        <>
          <span class="hint">{countChanges(current.edits)}</span>
          <Link class="button small" href={`/changes/${current.id}`}>
            Review and publish
          </Link>
        </>
      )}
    </section>
  )
}

/** Pages that show one or the other. */
const SHOWN = ['/', '/plugin', '/try', '/document']
