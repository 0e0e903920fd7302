import { useState } from 'preact/hooks'
import type { PluginKey, ReviewedSet } from '../../shared/changes.ts'
import { Dialog } from '../dialog.tsx'
import { TextField, useAction } from '../form.tsx'
import { Failed, useLoad } from '../load.tsx'
import { Differences } from '../parts/differences.tsx'
import { Findings } from '../parts/findings.tsx'
import { describePublished, type Published } from '../parts/published.ts'
import { usePlace } from '../router.tsx'
import { useMay, useStudio } from '../studio.tsx'

/** Of errors, as many as are shown; the page of the change set has all of them. */
const MOST_ERRORS = 5

/** Publishes the change of one plugin from its page: it shows first what that changes. */
export function PublishDialog({
  set,
  plugin,
  given,
  close,
}: {
  set: number
  plugin: PluginKey
  /** What the message begins with. */
  given: string
  close(): void
}) {
  const { api, say, live, refreshLive, workIn } = useStudio()
  const may_publish = useMay('publisher')
  const { go } = usePlace()
  const [own, setOwn] = useState(set)
  const loaded = useLoad<ReviewedSet>(`/sets/${own}/review`)
  const review = loaded.value
  const [message, setMessage] = useState(given)
  const { busy, problem: failed, run, clear } = useAction()
  const problem = failed ?? loaded.problem
  const again = () => {
    clear()
    loaded.reload()
  }
  const verb = live?.two_persons || !may_publish ? 'Propose' : 'Publish'
  const errors = review?.findings.filter(({ severity }) => severity === 'error') ?? []
  // The domain of a new plugin goes with it.
  const others = review?.changes.filter(
    ({ kind, domain, name, phase }) =>
      !(kind === 'plugin' && domain === plugin.domain && name === plugin.name && phase === plugin.phase) &&
      !((kind === 'domain' || kind === 'order') && domain === plugin.domain),
  )
  const more = (review?.changes_total ?? 0) - (review?.changes.length ?? 0) + (others?.length ?? 0)
  const is_publishable = review && errors.length === 0 && review.conflicts === 0 && review.differences_total > 0
  return (
    <Dialog title={`${verb} ${plugin.name}?`} close={close}>
      {review === undefined && problem === undefined && <p role="status">Looking at the differences…</p>}
      {errors.length > 0 && (
        <>
          <p class="notice failed">
            {review?.errors === 1 ? '1 error prevents publishing.' : `${review?.errors} errors prevent publishing.`}
          </p>
          <Findings findings={errors.slice(0, MOST_ERRORS)} />
        </>
      )}
      {review && review.conflicts > 0 && (
        <p class="notice failed">The change set has conflicts with what went live. Resolve them first.</p>
      )}
      {review && errors.length === 0 && review.differences_total === 0 && <p>It is already live like this.</p>}
      {more > 0 && (
        <div class="notice">
          <span>
            This change set has {more === 1 ? '1 more change' : `${more} more changes`}. {verb} all of it, or this
            plugin alone.
          </span>
          <button
            type="button"
            disabled={busy}
            onClick={() =>
              run(async () => {
                const { domain, name, phase } = plugin
                const made = await api.send<{ set: number }>('POST', `/sets/${own}/split`, { domain, name, phase })
                workIn(made.set)
                setOwn(made.set)
              })
            }
          >
            This plugin alone
          </button>
        </div>
      )}
      {review && <Differences differences={review.differences} />}
      {is_publishable && (
        <TextField
          label="Message: what changes, and why"
          value={message}
          change={setMessage}
          problem={problem?.fields.message}
          maxLength={500}
          wide
        />
      )}
      {problem && problem.fields.message === undefined && (
        <Failed problem={problem} {...(problem.status === 409 || loaded.problem ? { again } : {})} />
      )}
      <footer>
        <button type="button" onClick={close}>
          Later
        </button>
        <button type="button" onClick={() => go(`/changes/${own}`)}>
          Review
        </button>
        {is_publishable && (
          <button
            type="button"
            class="primary"
            disabled={busy || message.trim() === ''}
            onClick={async () => {
              const done = await run(async () => {
                const { base, revision } = review
                const path = `/sets/${own}/${may_publish ? 'publish' : 'propose'}`
                const published = await api.send<Published>('POST', path, { message, base, revision })
                say(describePublished(published))
                if ('version' in published) workIn(undefined)
                refreshLive()
              })
              if (done) close()
            }}
          >
            {verb}
          </button>
        )}
      </footer>
    </Dialog>
  )
}
