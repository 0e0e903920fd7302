import { useEffect, useRef } from 'preact/hooks'
import type { Pages } from '../load.tsx'

/** Loads more of a list once it comes into sight; or when it is pressed. */
export function More({
  of: { has_more, loading, more },
  what,
  by_sight = true,
}: {
  of: Pages<unknown>
  what: string
  /** Where something stands below the list, it has to stay in reach. */
  by_sight?: boolean
}) {
  const own = useRef<HTMLButtonElement>(null)
  const newest = useRef(more)
  newest.current = more
  useEffect(() => {
    if (own.current === null || loading || !by_sight) return undefined
    const observer = new IntersectionObserver(
      (entries) => entries.some(({ isIntersecting }) => isIntersecting) && newest.current(),
      { rootMargin: '300px' },
    )
    observer.observe(own.current)
    return () => observer.disconnect()
  }, [has_more, loading, by_sight])
  if (!has_more) return null
  return (
    <button type="button" ref={own} class="more" disabled={loading} onClick={more}>
      {loading ? 'Loading…' : `More ${what}`}
    </button>
  )
}
