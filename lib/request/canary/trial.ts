import type { Context } from 'koa'
import { ownListener } from '../../events/emitter.ts'
import type { EventTable, RolloutCounts } from '../../events/table.ts'
import type { Predicate } from '../../matching/condition.ts'
import { createDraw } from '../../matching/request-key.ts'
import { createShare, percentAt, type Share } from '../../matching/rollout.ts'
import type { RolloutStop, RolloutWatch } from '../../program.ts'
import { SYSTEM_CLOCK } from '../../time/clock.ts'
import { CANDIDATE, type CandidateStatus } from '../rollout/candidate.ts'
import { createRolloutWatch } from '../rollout/watch.ts'
import type { CanarySettings } from './options.ts'

/** What keeps these clients apart from those of plugins. */
const SALT = 'dynacode candidate'

/** The share of a candidate, what watches it, and what is reported of both. */
export interface Trial {
  isInside(ctx: Context): boolean
  /** The same, where the response is not for the watch. */
  isInsideUncounted(ctx: Context): boolean
  ran(ctx: Context): void
  set(share: CanarySettings['share']): void
  status(): CandidateStatus
}

/** Begins to share requests out, and to watch what becomes of those of the candidate. */
export function beginTrial(
  { by, rules, on_stop, share: first }: Pick<CanarySettings, 'by' | 'rules' | 'on_stop' | 'share'>,
  { events, [CANDIDATE]: candidate }: CanarySettings['candidate'],
): Trial {
  const draw = createDraw()
  const clock = SYSTEM_CLOCK
  let share: Share = { by, from: 0, salt: SALT, ...first }
  let watch: RolloutWatch | null = null
  let isInside: Predicate
  let isInsideUncounted: Predicate
  let forgetStep: (() => void) | undefined
  const stop = () => watch?.stop() ?? null
  const percentNow = () => (stop() === null ? percentAt(share, clock.now()) : 0)

  function stopped({ condition, limit, above_control, at }: RolloutStop, counts: RolloutCounts): void {
    forgetStep?.()
    candidate.emit('rt_canary_stopped', { condition, limit, above_control, ...counts })
    // A callback that throws or rejects harms nobody.
    void (async () => on_stop?.({ condition, limit, above_control, at, ...counts }))().catch(() => undefined)
  }

  /** A watch that knows nothing yet, for this share. */
  function begin(): void {
    watch?.end()
    watch = rules === undefined ? null : createRolloutWatch(rules, clock, stopped)
    watch?.begin()
    isInside = createShare(share, draw, watch, clock.now)
    isInsideUncounted = createShare(share, draw, null, clock.now)
    awaitStep()
  }

  function awaitStep(): void {
    forgetStep?.()
    const before = percentNow()
    const next = share.schedule?.find(({ from }) => from > clock.now())
    forgetStep =
      next &&
      clock.at(next.from, () => {
        tell('step', before)
        awaitStep()
      })
  }

  function tell(reason: EventTable['rt_canary_changed']['reason'], previous_percent: number): void {
    const percent = percentNow()
    if (percent !== previous_percent) candidate.emit('rt_canary_changed', { percent, previous_percent, reason })
  }

  function restart(reason: 'set' | 'version', next: Share): void {
    const before = percentNow()
    share = next
    begin()
    tell(reason, before)
  }

  // Another version of the candidate is another candidate.
  events.on(
    'bg_updated_plugins',
    ownListener(() => restart('version', share)),
  )

  function status(): CandidateStatus {
    const counts = watch?.counts()
    return Object.freeze({
      percent: candidate.serves() ? percentNow() : 0,
      stopped: stop(),
      candidate: counts?.inside ?? null,
      live: counts?.control ?? null,
    })
  }

  begin()
  candidate.attend({
    status,
    end() {
      watch?.end()
      forgetStep?.()
    },
  })
  return {
    isInside: (ctx) => isInside(ctx),
    isInsideUncounted: (ctx) => stop() === null && isInsideUncounted(ctx),
    ran: (ctx) => watch?.ran(ctx, 'done', undefined, false),
    set: (next) => restart('set', { by, from: 0, salt: SALT, ...next }),
    status,
  }
}
