import { useState } from 'preact/hooks'
import type { ChangeSet, ReviewedSet } from '../../shared/changes.ts'
import type { Difference } from '../../shared/review.ts'
import { ChangeList } from '../changes/change-list.tsx'
import { Comments } from '../changes/comments.tsx'
import { PublishForm } from '../changes/publish-form.tsx'
import { describeState } from '../changes/words.ts'
import { Confirm } from '../dialog.tsx'
import { Empty, Show, useLoad } from '../load.tsx'
import { Differences } from '../parts/differences.tsx'
import { ExpiredPlugins } from '../parts/expired.tsx'
import { Findings } from '../parts/findings.tsx'
import { GitNotice } from '../parts/git-state.tsx'
import { useTitle } from '../parts/page.ts'
import { Ago } from '../parts/time.tsx'
import { Link, usePlace } from '../router.tsx'
import { useMay, useStudio, useStudioEvent } from '../studio.tsx'

/** One change set: what it changes, what is wrong with it, and the buttons that make it live. */
export function ChangeSetPage({ id }: { id: number }) {
  const set = useLoad<ChangeSet>(`/sets/${id}`)
  useTitle(set.value?.name ?? 'Change set')
  useStudioEvent('change', set.reload, 200)
  useStudioEvent('version', set.reload, 100)
  return (
    <>
      <nav class="crumbs" aria-label="Where this is">
        <Link href="/changes">Changes</Link> <span aria-hidden="true">/</span>
      </nav>
      <Show of={set}>
        {(value) => (
          <>
            <SetHead set={value} />
            <GitNotice />
            {value.state === 'open' && <ExpiredPlugins set={id} />}
            {value.state === 'open' ? <OpenSet set={value} /> : <ClosedSet set={value} />}
            <Comments set={id} />
          </>
        )}
      </Show>
    </>
  )
}

function SetHead({ set }: { set: ChangeSet }) {
  const { api, say, session, workIn } = useStudio()
  const { go } = usePlace()
  const may_write = useMay('author')
  const may_publish = useMay('publisher')
  const [discarding, setDiscarding] = useState(false)
  const { text, kind } = describeState(set)
  const is_own = set.created_by === session.name || set.created_by_id === null
  return (
    <>
      <div class="head">
        <h1>{set.name}</h1>
        <span class={`badge ${kind}`}>{text}</span>
        {may_write && set.state === 'open' && (
          <>
            <button
              type="button"
              onClick={() => {
                workIn(set.id)
                go('/')
              }}
            >
              Add changes
            </button>
            {(is_own || may_publish) && (
              <button type="button" class="danger-quiet" onClick={() => setDiscarding(true)}>
                Discard all…
              </button>
            )}
          </>
        )}
        {may_write && set.state !== 'open' && set.edits > 0 && (
          <button
            type="button"
            onClick={async () => {
              try {
                const made = await api.send<{ set: number }>('POST', `/sets/${set.id}/reopen`, {})
                workIn(made.set)
                go(`/changes/${made.set}`)
              } catch (error) {
                say((error as Error).message, 'failed')
              }
            }}
          >
            Open again as a new change set
          </button>
        )}
      </div>
      <p class="hint">
        By {set.created_by}, <Ago at={set.created_at} />. Changed <Ago at={set.updated_at} />.
      </p>
      {discarding && (
        <Confirm
          title={`Discard ${set.name}?`}
          action="Discard"
          danger
          close={() => setDiscarding(false)}
          run={async () => {
            await api.send('DELETE', `/sets/${set.id}`)
            say(`${set.name} is discarded`)
            workIn(undefined)
            go('/changes')
          }}
        >
          <p>Nothing live changes. You can open it again from the list.</p>
        </Confirm>
      )}
    </>
  )
}

function ClosedSet({ set }: { set: ChangeSet }) {
  const { version, rolled_back_by } = set
  if (version === null) return <p class="notice">It was discarded. Nothing of it is live.</p>
  return (
    <p class="notice">
      <span>
        It went live as version {version}.
        {rolled_back_by !== null &&
          ` Version ${rolled_back_by} rolled it back: it is no longer live. To publish it again, open it as a new change set.`}
      </span>
      <Link class="button" href={`/history?before=${version - 1}&after=${version}`}>
        What it changed
      </Link>
    </p>
  )
}

function OpenSet({ set }: { set: ChangeSet }) {
  const review = useLoad<ReviewedSet>(`/sets/${set.id}/review`)
  // To compare a large change set takes the studio a while.
  useStudioEvent('change', review.reload, 700)
  useStudioEvent('version', review.reload, 100)
  return (
    <Show of={review}>
      {(value) => <Review set={set} review={value} loading={review.loading} reload={review.reload} />}
    </Show>
  )
}

function Review({
  set,
  review,
  loading,
  reload,
}: {
  set: ChangeSet
  review: ReviewedSet
  loading: boolean
  reload(): void
}) {
  const { base, findings, findings_total, errors: error_count, differences_total: count, conflicts } = review
  const { differences, more } = useDifferences(set.id, review)
  const errors = findings.filter(({ severity }) => severity === 'error')
  const others = findings.filter(({ severity }) => severity !== 'error')
  const remarks = findings_total - error_count
  if (review.changes_total === 0 && error_count === 0)
    return (
      <Empty>
        <p>
          <strong>It changes nothing yet.</strong>
        </p>
        <p>
          <Link href={`/?set=${set.id}`}>Change a plugin</Link>
        </p>
      </Empty>
    )
  return (
    <>
      {error_count > 0 && (
        <section class="card bad" aria-label="Errors">
          <h2>{error_count === 1 ? '1 error prevents publishing' : `${error_count} errors prevent publishing`}</h2>
          <Findings findings={errors} />
          {error_count > errors.length && <p class="hint">{error_count - errors.length} more</p>}
        </section>
      )}
      {conflicts > 0 && (
        <section class="card bad" aria-label="Conflicts">
          <h2>{conflicts === 1 ? '1 conflict with what went live' : `${conflicts} conflicts with what went live`}</h2>
          <p>
            Someone published a change of the same fields. Open the plugin and choose, or discard your change. Until
            then, this change set cannot be published. Others can.
          </p>
        </section>
      )}
      <ChangeList set={set.id} review={review} reload={reload} />
      <section aria-label="Differences" aria-busy={loading}>
        <h2>
          {count === 1 ? '1 difference' : `${count} differences`} from{' '}
          {base === 0 ? 'nothing: this will be the first version' : `version ${base}, which is live`}
        </h2>
        <Differences differences={differences} more={more} />
      </section>
      {remarks > 0 && (
        <details class="card">
          <summary>
            <h2>{remarks === 1 ? '1 warning or note' : `${remarks} warnings and notes`}</h2>
          </summary>
          <Findings findings={others} />
          {remarks > others.length && <p class="hint">{remarks - others.length} more</p>}
        </details>
      )}
      <PublishForm set={set} review={review} reload={reload} />
    </>
  )
}

/** The differences that came with the review, and further ones once someone asks for them. */
function useDifferences(set: number, { revision, base, differences, differences_total }: ReviewedSet) {
  const { api, say } = useStudio()
  const of = `${base}/${revision}`
  const [further, setFurther] = useState<{ of: string; items: readonly Difference[] }>({ of, items: [] })
  const all = further.of === of ? [...differences, ...further.items] : differences
  const more = async () => {
    try {
      const path = `/sets/${set}/differences?from=${all.length}`
      const { items } = await api.get<{ items: readonly Difference[] }>(path)
      setFurther({ of, items: [...all.slice(differences.length), ...items] })
    } catch (error) {
      say((error as Error).message, 'failed')
    }
  }
  return { differences: all, more: all.length < differences_total ? more : undefined }
}
