import type { ComponentChildren } from 'preact'
import { useErrorBoundary } from 'preact/hooks'

/** What fails inside takes nothing else with it: the other pages, and the kill switch. */
export function Guarded({ children }: { children: ComponentChildren }) {
  const [error, again] = useErrorBoundary()
  if (error === undefined) return <>{children}</>
  return (
    <div class="notice" role="alert">
      <p>This page failed: {error instanceof Error ? error.message : String(error)}</p>
      <button type="button" onClick={again}>
        Try again
      </button>
    </div>
  )
}
