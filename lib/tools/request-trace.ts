import type { Context } from 'koa'
import type { Document, Phase, PluginSpec } from '../document.ts'
import { PHASES } from '../document.ts'
import { messageOf } from '../errors.ts'
import type { PluginInfo } from '../events/table.ts'
import { hostOf } from '../matching/request-host.ts'
import { isDrawn } from '../matching/request-key.ts'
import type { PluginApp } from '../testing/plugin-app.ts'
import { listChanges, type Snapshot, takeSnapshot } from './request-changes.ts'
import { whyNotDomain, whyNotPlugin } from './skip-reason.ts'

/** What one plugin did. */
export interface PluginTrace {
  readonly plugin: string
  readonly domain: string
  readonly phase: Phase | null
  /** `shadow`: it ran without effect; `refused`: dynacode refuses it. */
  readonly outcome: 'ran' | 'failed' | 'shadow' | 'skipped' | 'refused'
  /** Why it did not run, or how it failed. */
  readonly reason: string | null
  readonly changes: readonly string[]
  /** How often it was called: a `body_filter` is called for every chunk. */
  readonly calls: number
  readonly duration_ms: number | null
}

interface Run {
  changes: string[]
  calls: number
  duration_ms: number
  error: string | null
}

/** Follows one request through an app. */
export interface RequestTrace {
  /** Told once, when the request has come. */
  begin(ctx: Context): void
  /** Told when the request has come to the app. */
  reachApp(): void
  /** How every plugin of the document fared. */
  list(status: number): readonly PluginTrace[]
}

const DOWNSTREAM: readonly (Phase | null)[] = PHASES.slice(0, 4)

/** Begins to follow. The app is for nothing else. */
export function traceRequest({ dyna, events_of }: PluginApp, document: Document, now: () => number): RequestTrace {
  const runs = new Map<string, Run>()
  const effects = new Map<string, readonly string[]>()
  const early = new Map<PluginSpec, string | undefined>()
  let ctx: Context | undefined
  let before: Snapshot = new Map()
  let reached_app = false
  let ended_with: string | undefined

  dyna.events.on('rt_plugins_starting', ({ phase }) => {
    before = takeSnapshot(ctx as Context)
    if (!DOWNSTREAM.includes(phase)) ended_with ??= before.get('status')
  })
  const finish = (plugin: PluginInfo, duration_ms: number, error: string | null) => {
    const run = runs.get(keyOf(plugin)) ?? { changes: [], calls: 0, duration_ms: 0, error: null }
    run.changes.push(...listChanges(before, takeSnapshot(ctx as Context)))
    run.calls += 1
    run.duration_ms += duration_ms
    run.error ??= error
    runs.set(keyOf(plugin), run)
  }
  dyna.events.on('rt_plugins_done', ({ plugin, duration_ms }) => finish(plugin, duration_ms, null))
  dyna.events.on('rt_plugins_error', ({ plugin, duration_ms, error, outcome }) => {
    const then = outcome === 'closed' ? '; it fails closed: 503' : '; the request goes on'
    finish(plugin, duration_ms, `${messageOf(error)}${then}`)
  })
  dyna.events.on('rt_plugins_shadow', (shadow) => effects.set(keyOf(shadow.plugin), shadow.effects))

  const specs = document.domains.flatMap((domain) => ('error' in domain ? [] : domain.plugins))
  const sound = specs.filter((spec): spec is PluginSpec => !('error' in spec))

  /** The plugin that answered in place of the app, if one did. */
  function findEnd(): Run | undefined {
    const live = [...runs].filter(([key]) => !effects.has(key) && DOWNSTREAM.includes(JSON.parse(key)[2]))
    const last = live.at(-1)?.[1]
    return reached_app || last?.error ? undefined : last
  }

  function whySkipped(spec: PluginSpec): string {
    const late = whyNotPlugin(spec, ctx as Context, now())
    const first = early.get(spec)
    // What plugins change of a request may change for which of them it is.
    if (late !== undefined) return late
    if (first !== undefined) return `when its phase came: ${first}`
    if (DOWNSTREAM.includes(spec.phase) && !reached_app) return 'the request had been answered by then'
    const { share } = spec.scope
    const isByChance = share !== undefined && isDrawn(share.by, ctx as Context)
    return isByChance ? 'its rollout is by chance' : 'the response was ended by then'
  }

  return {
    begin(given) {
      ctx = given
      for (const spec of sound) early.set(spec, whyNotPlugin(spec, given, now()))
    },
    reachApp() {
      reached_app = true
    },
    list(status) {
      const end = findEnd()
      if (end?.changes.every((change) => !/^(body|status):/.test(change))) {
        end.changes.push(`ended the request with ${ended_with ?? status}`)
      }
      const refused = new Map(events_of('bg_compile_error').map(({ plugin, error }) => [keyOf(plugin), error.message]))
      const traces = document.domains.flatMap((domain): PluginTrace[] => {
        if ('error' in domain) return []
        const elsewhere = whyNotDomain(document, domain, hostOf(ctx as Context))
        return domain.plugins.map((spec): PluginTrace => {
          const { name = String(spec.id), phase = null } = spec
          const about = { plugin: name, domain: domain.name, phase, changes: [], calls: 0, duration_ms: null }
          const key = keyOf({ name, domain: domain.name, phase })
          const run = runs.get(key)
          const error = 'error' in spec ? spec.error.message : refused.get(key)
          if (error !== undefined) return { ...about, outcome: 'refused', reason: error }
          if (elsewhere !== undefined) return { ...about, outcome: 'skipped', reason: elsewhere }
          if (spec.shadow && effects.has(key)) {
            return { ...about, outcome: 'shadow', reason: null, changes: effects.get(key) ?? [], calls: 1 }
          }
          if (run === undefined) return { ...about, outcome: 'skipped', reason: whySkipped(spec as PluginSpec) }
          const { changes, calls, duration_ms } = run
          const outcome = run.error === null ? 'ran' : 'failed'
          return { ...about, outcome, reason: run.error, changes, calls, duration_ms }
        })
      })
      const place = ({ phase }: PluginTrace) => (phase === null ? PHASES.length : PHASES.indexOf(phase))
      return traces.sort((a, b) => place(a) - place(b))
    },
  }
}

function keyOf({ name, domain, phase }: PluginInfo): string {
  return JSON.stringify([domain, name, phase])
}
