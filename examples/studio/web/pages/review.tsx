import { useState } from 'preact/hooks'
import type { Difference, Draft } from '../../shared/review.ts'
import { Field, useAction } from '../form.tsx'
import { Empty, Failed, Show, useLoad } from '../load.tsx'
import { Differences } from '../parts/differences.tsx'
import { Findings } from '../parts/findings.tsx'
import { GitNotice } from '../parts/git-state.tsx'
import { useTitle } from '../parts/page.ts'
import { describePublished, type Published } from '../parts/published.ts'
import { Proposals } from '../review/proposals.tsx'
import { Link, usePlace } from '../router.tsx'
import { useMay, useStudio, useStudioEvent } from '../studio.tsx'

/** What is different in the draft, and the button that makes it live. */
export function ReviewPage() {
  const { search } = usePlace()
  const draft = useLoad<Draft>('/draft')
  useTitle('Review')
  // To compare a large draft takes the studio a while.
  useStudioEvent('draft', draft.reload, 700)
  useStudioEvent('version', draft.reload, 100)
  return (
    <>
      <div class="head">
        <h1>Review and publish</h1>
      </div>
      <GitNotice />
      <Proposals />
      <Show of={draft}>
        {(value) => (
          <Review draft={value} loading={draft.loading} reload={draft.reload} given={search.get('message') ?? ''} />
        )}
      </Show>
    </>
  )
}

function Review({ draft, loading, reload, given }: { draft: Draft; loading: boolean; reload(): void; given: string }) {
  const { api, say, live, refreshLive } = useStudio()
  const may_publish = useMay('publisher')
  const may_propose = useMay('author')
  const [message, setMessage] = useState(given)
  const { busy, problem, run } = useAction()
  const { base, findings, findings_total, errors: error_count, differences_total: count } = draft
  const { differences, more } = useDifferences(draft)
  const errors = findings.filter(({ severity }) => severity === 'error')
  const remarks = findings_total - error_count
  const others = findings.filter(({ severity }) => severity !== 'error')
  const is_publishable = error_count === 0 && count > 0

  return (
    <>
      {error_count > 0 && (
        <section class="card bad" aria-label="Errors">
          <h2>{error_count === 1 ? '1 error prevents publishing' : `${error_count} errors prevent publishing`}</h2>
          <Findings findings={errors} />
          {error_count > errors.length && <p class="hint">{error_count - errors.length} more</p>}
        </section>
      )}
      {count === 0 && error_count === 0 ? (
        <Empty>
          <p>
            <strong>No changes: the draft is the same as the live version.</strong>
          </p>
          <p>
            <Link href="/">Edit a plugin</Link> to see its changes here.
          </p>
        </Empty>
      ) : (
        <section aria-label="Differences" class={loading ? 'old' : undefined}>
          <h2>
            {count === 1 ? 'One difference' : `${count} differences`} from{' '}
            {base === 0 ? 'nothing: this will be the first version' : `version ${base}`}
          </h2>
          <Differences differences={differences} more={more} />
        </section>
      )}
      {remarks > 0 && (
        <details class="card">
          <summary>
            <h2>{remarks === 1 ? '1 warning' : `${remarks} warnings`}</h2>
          </summary>
          <Findings findings={others} />
          {remarks > others.length && <p class="hint">{remarks - others.length} more</p>}
        </details>
      )}
      {live?.two_persons && live.publishers === 1 && may_publish && (
        <p class="notice">
          You are the only publisher, and publishing takes two people: nobody can approve what you propose. Let an
          author propose it, or invite a second publisher on the page <Link href="/people">People</Link>. A publisher
          you invite can approve your proposals after one day. You can switch off and roll back on your own.
        </p>
      )}
      {count > 0 && may_propose && (
        <form
          class="card publish"
          onSubmit={(event) => {
            event.preventDefault()
            run(async () => {
              const published = await api.send<Published>('POST', may_publish ? '/versions' : '/proposals', {
                message,
                base,
                draft: draft.draft,
              })
              setMessage('')
              say(describePublished(published))
              refreshLive()
            })
          }}
        >
          <Field label="Message: what changes, and why" problem={problem?.fields.message} wide>
            {(props) => (
              <input
                {...props}
                value={message}
                maxLength={500}
                required
                onInput={({ currentTarget }) => setMessage(currentTarget.value)}
              />
            )}
          </Field>
          {problem && <Failed problem={problem} {...(problem.status === 409 ? { again: reload } : {})} />}
          {problem && problem.findings.length > 0 && <Findings findings={problem.findings} />}
          <footer>
            <button type="submit" class="primary big" disabled={busy || !is_publishable}>
              {busy
                ? 'Please wait…'
                : `${live?.two_persons || !may_publish ? 'Propose' : 'Publish'} version ${base + 1}`}
            </button>
            {error_count > 0 && <span class="problem">Fix the errors above first.</span>}
          </footer>
        </form>
      )}
      {!may_publish && count > 0 && <p class="notice">Only a publisher can publish this.</p>}
    </>
  )
}

/** The differences of a draft that came with it, and further ones once somebody asks for them. */
function useDifferences({ draft, differences, differences_total }: Draft) {
  const { api, say } = useStudio()
  const [further, setFurther] = useState<{ draft: number; items: readonly Difference[] }>({ draft, items: [] })
  const all = further.draft === draft ? [...differences, ...further.items] : differences
  const more = async () => {
    try {
      const { items } = await api.get<{ items: readonly Difference[] }>(`/draft/differences?from=${all.length}`)
      setFurther({ draft, items: [...all.slice(differences.length), ...items] })
    } catch (error) {
      say((error as Error).message, 'failed')
    }
  }
  return { differences: all, more: all.length < differences_total ? more : undefined }
}
