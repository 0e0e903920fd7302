import type { LivePlugin } from '../../shared/live.ts'
import { query } from '../api.ts'
import { useLoad } from '../load.tsx'
import { useStudioEvent } from '../studio.tsx'

/** A plugin as it is live: null where nothing of it is, undefined until that is known. */
export function useLivePlugin(about: { domain: string; plugin: string; phase: string }): LivePlugin | null | undefined {
  const { domain, plugin, phase } = about
  const found = useLoad<readonly LivePlugin[]>(`/live/plugins${query({ domain, search: plugin, limit: 200 })}`)
  useStudioEvent('version', found.reload, 100)
  if (found.value === undefined) return undefined
  return found.value.find((each) => each.name === plugin && each.phase === phase) ?? null
}

/** Which step of the way from shadow to everybody it is at. */
export function stepOf({ mode, percent }: Pick<LivePlugin, 'mode' | 'percent'>): string {
  return mode === 'shadow' ? 'shadow' : String(percent ?? 100)
}

/** The same in words. */
export function describeStep(step: string): string {
  return step === 'shadow' ? 'in shadow mode' : step === '100' ? 'for all' : `for ${step} %`
}
