import type { PluginSpec, RefusedPlugin } from '../document.ts'
import type { PluginInfo } from '../events/table.ts'
import type { Scope } from '../matching/scope.ts'
import type { LivePlugin, PluginFunction, PluginLife } from '../program.ts'

/** Whether requests are refused for want of this plugin. What does nothing for them guards nothing either. */
export function mustGuard({ on_failure, scope, shadow }: PluginSpec | RefusedPlugin, now: number): boolean {
  if (on_failure === 'open' || !scope.enabled || shadow) return false
  return scope.expires_at === undefined || scope.expires_at > now
}

/** The requests that are refused: it begins and ends when the plugin would, whether or not anybody brings a new document by then. */
export function standInScope({ scope: { starts_at, expires_at } }: PluginSpec | RefusedPlugin): Scope {
  return Object.freeze({
    enabled: true,
    when: undefined,
    share: undefined,
    stop_when: undefined,
    starts_at,
    expires_at,
  })
}

/** Stands in for a plugin that never worked and fails closed: it lets nobody through. */
export function createStandIn(
  { domain, id }: PluginSpec | RefusedPlugin,
  info: PluginInfo,
  life: PluginLife,
  scope: Scope,
  applies: LivePlugin['applies'],
): LivePlugin {
  const { name } = info
  const spec = { domain, name, id, phase: 'access', code: '', params: {}, priority: Number.POSITIVE_INFINITY } as const
  const limits = {
    guard: 'off',
    budget_ms: 50,
    timeout_ms: 5000,
    shadow: false,
    shadow_allows: [],
    unit: undefined,
  } as const
  return Object.freeze({
    info,
    spec: Object.freeze({ ...spec, ...limits, scope, on_failure: 'closed', path: '' }),
    phase: 'access',
    run: refuseAll,
    uses: {
      exit: true,
      say: false,
      fetch: false,
      signal: false,
      kit: false,
      store: false,
      leaves_nothing: false,
      request_headers: false,
      writes: 'nothing',
      headers: [],
      kept: 0,
      checked: true,
      throws: false,
    },
    applies,
    paths: undefined,
    sha1: '',
    guard: true,
    life,
  } satisfies LivePlugin)
}

const refuseAll: PluginFunction = (_run, _ctx, _params, exit) => exit?.(503)
