import { describeDistance, describeMoment } from './moment.ts'
import type { Style, Terminal } from './terminal.ts'

// biome-ignore lint/suspicious/noExplicitAny: docs/control.md has what a process says; it may be of another version
export type Answer = any

const STYLES: Readonly<Record<string, Style>> = Object.freeze({
  live: 'green',
  refused: 'red',
  guarded: 'red',
  quarantined: 'red',
  stopped: 'red',
})

/** What the document's version of these is not. */
const TROUBLED = ['refused', 'guarded', 'quarantined', 'last_good']

const ORIGINS: Readonly<Record<string, string>> = {
  network: 'the source',
  cache: 'the cache',
  bootstrap: 'the bootstrap file',
}

/** Why somebody should look at a process, most important first; [] where nobody has to. */
function findTrouble(status: Answer, now: number): readonly string[] {
  const open = status.plugins.filter((plugin: Answer) => plugin.breaker !== 'closed').length
  const stopped = status.plugins.filter((plugin: Answer) => plugin.state === 'stopped').length
  return [
    status.closed && 'closed: no plugin runs',
    status.disabled && 'off: the kill switch of this process is on, no plugin runs',
    !status.closed && !status.loaded && 'no document is live yet',
    status.enabled === false && 'off: general.status of the document, no plugin runs',
    status.stale && 'the live document is stale',
    status.last_error && describeFailure(status, now),
    status.cache?.error && `the cache does not work: ${status.cache.error.message}`,
    stopped > 0 && `${stopped} not run any more (rollout stopped itself)`,
    status.canary?.stopped && 'the candidate document was stopped',
    open > 0 && `${open} skipped (breaker open)`,
  ].filter((text) => typeof text === 'string')
}

/** What went wrong with the last refresh, and when: a version of the source that was refused is another thing than no answer. */
function describeFailure({ last_error: { at, code, message } }: Answer, now: number): string {
  const when = typeof at === 'number' ? ` ${describeDistance(at, now)}` : ''
  const was_fetched = typeof code === 'string' && !code.startsWith('ERR_DYNACODE_FETCH')
  return `${was_fetched ? 'last document refused' : 'last refresh failed'}${when}: ${message}`
}

/** Whether a process should be looked at. */
export function needsAttention(status: Answer): boolean {
  return findTrouble(status, 0).length > 0 || listRefused(status.plugins).length > 0
}

/** The plugins whose version in the document does not run. */
export function listRefused(plugins: readonly Answer[]): readonly Answer[] {
  return plugins.filter(({ state, error }) => error || TROUBLED.includes(state))
}

/** How many plugins there are in each state: `3 live, 1 refused`. */
export function countStates(plugins: readonly Answer[]): string {
  const counts = new Map<string, number>()
  for (const { state } of plugins) counts.set(state, (counts.get(state) ?? 0) + 1)
  const parts = [...counts].map(([state, count]) => `${count} ${nameOf(state)}`)
  return parts.length === 0 ? 'no plugins' : parts.join(', ')
}

const nameOf = (state: unknown) => String(state).replace('_', ' ')

/** Prints the state of one process, a headline first. */
export function showStatus(status: Answer, { print, paint }: Terminal, now = Date.now()): void {
  const headline = [countStates(status.plugins), ...findTrouble(status, now)].join('; ')
  print(paint(needsAttention(status) ? 'red' : 'green', headline))
  const time = (at: unknown) => (typeof at === 'number' ? describeMoment(at, now) : 'never')
  const row = (name: string, text: string) => print(`${paint('bold', name.padEnd(10))} ${text}`)
  const origin = ORIGINS[status.from] ?? status.from
  row('document', status.loaded ? `version ${status.version} from ${origin}, live since ${time(status.since)}` : 'none')
  if (status.attempted_version !== null && status.attempted_version !== status.version) {
    row('refused', `version ${status.attempted_version}`)
  }
  row('confirmed', `${time(status.validated_at)}, ${describeNext(status, time)}`)
  row('watching', status.watching === 'none' ? 'off' : String(status.watching))
  row('cache', status.cache === null ? 'off' : status.cache.error ? String(status.cache.error.message) : 'on')
  row('switch', status.disabled ? 'off: no plugin runs' : 'on')
  if (status.canary) row('canary', `${status.canary.percent} % of the requests${describeStop(status.canary)}`)
  for (const plugin of status.plugins) print(`  ${describePlugin(plugin, paint, time)}`)
}

function describeNext({ polling, next_poll_at }: Answer, time: (at: unknown) => string): string {
  if (polling === 'running') return 'asking the source now'
  return next_poll_at === null ? 'no more polls' : `next poll ${time(next_poll_at)}`
}

/** One plugin in one line. */
export function describePlugin(
  { name, domain, phase, state, breaker, retry_at, error, rollout }: Answer,
  paint: Terminal['paint'],
  time: (at: unknown) => string,
): string {
  const tried = typeof retry_at === 'number' ? `, next try ${time(retry_at)}` : ''
  const broken = breaker === 'closed' || breaker === undefined ? '' : `, skipped (breaker ${nameOf(breaker)}${tried})`
  const where = [phase, domain].filter((part) => part !== null && part !== undefined).join(', ')
  return `${paint(STYLES[state] ?? 'yellow', nameOf(state))} ${name} (${where})${broken}${describeStop(rollout)}${error ? `: ${error}` : ''}`
}

/** What a rollout or a canary was stopped for: `, stopped: error_rate above 0.05`. */
function describeStop(rollout: Answer): string {
  const stopped = rollout?.stopped
  if (!stopped) return ''
  const { condition, limit, above_control } = stopped
  return `, stopped: ${condition} ${above_control ? 'more than' : 'above'} ${limit}${above_control ? ' above the control group' : ''}`
}
