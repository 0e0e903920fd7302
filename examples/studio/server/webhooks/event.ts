import type { HookEventType } from '../../shared/webhooks.ts'

/** Something that webhooks report. */
export interface HookEvent {
  readonly type: HookEventType | 'test'
  /** ISO 8601. */
  readonly at: string
  /** Who did it; undefined for what a process reports. */
  readonly actor?: string
  readonly version?: number | string
  /** What is new, as whoever published or proposed it has put it. */
  readonly message?: string
  /** What it is about. */
  readonly domain?: string
  readonly plugin?: string
  readonly phase?: string
  /** The process that reports it. */
  readonly host?: string
  readonly pid?: number
  /** What a process says is wrong. */
  readonly error?: string
}

/** An entry of the audit log, as it is being written. */
interface AuditEntry {
  readonly actor: string
  readonly action: string
  readonly subject: string
  readonly details: object
}

/** What an entry of the audit log says to webhooks; undefined: nothing. */
export function eventOf({ actor, action, subject, details }: AuditEntry, now: Date): HookEvent | undefined {
  const { message, domain, plugin, on } = details as Partial<Record<string, string>> & { readonly on?: boolean }
  const [, version] = /^version (\d+)$/.exec(subject) ?? []
  const common = {
    at: now.toISOString(),
    actor,
    ...(message === undefined ? {} : { message }),
    ...(version === undefined ? {} : { version: Number(version) }),
  }
  if (action === 'propose') return { type: 'proposed', ...common }
  if (action === 'switch' && on === false) {
    return { type: 'killed', ...common, ...placeOf({ domain, plugin }) }
  }
  if (action === 'stop') {
    const { phase, reason } = details as Partial<Record<string, string>>
    return {
      type: 'rollout_stopped',
      ...common,
      ...placeOf({ domain, plugin, phase }),
      ...(reason === undefined ? {} : { error: reason }),
    }
  }
  // A version that was signed anew is news to nobody.
  return ['publish', 'rollback', 'import', 'switch', 'step'].includes(action)
    ? { type: 'published', ...common }
    : undefined
}

/** What is known of these. */
function placeOf(place: Partial<Record<'domain' | 'plugin' | 'phase', string | undefined>>) {
  return Object.fromEntries(Object.entries(place).filter(([, value]) => value !== undefined))
}

/** One sentence or two, in plain text. */
export function describeEvent(event: HookEvent): string {
  const { type, actor, version, message, domain, plugin, host, pid, error } = event
  const place = plugin === undefined ? (domain ?? 'everything') : `${plugin} in ${domain}`
  const process = `${host} (process ${pid})`
  const why = error === undefined ? '' : `: ${error}`
  const of_version = version === undefined ? '' : ` of version ${version}`
  switch (type) {
    case 'published':
      return `Version ${version} is live, published by ${actor}: ${message}`
    case 'proposed':
      return `${actor} proposes a change: ${message}`
    case 'killed':
      return `${actor} switched off ${place}. Version ${version} is live.`
    case 'refused':
      return `${process} refuses ${plugin === undefined && domain === undefined ? 'the document' : place}${of_version}${why}`
    case 'breaker_open':
      return `${place} fails again and again: its breaker is open on ${process}${why}`
    case 'rollout_stopped':
      return host === undefined
        ? `The rollout of ${place} has stopped everywhere${why}. Version ${version} is live, by ${actor}.`
        : `The rollout of ${place} has stopped on ${process}${why}`
    case 'stale':
      return `${process} serves version ${version}, whose time is up: it gets no newer one${why}`
    case 'test':
      return `A test of the webhook, sent by ${actor}.`
  }
}
