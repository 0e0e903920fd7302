import { useState } from 'preact/hooks'
import type { ChangeSet, ReviewedSet } from '../../shared/changes.ts'
import { Field, Form, useAction } from '../form.tsx'
import { Failed } from '../load.tsx'
import { Findings } from '../parts/findings.tsx'
import { describePublished, type Published } from '../parts/published.ts'
import { Ago } from '../parts/time.tsx'
import { Link } from '../router.tsx'
import { useMay, useStudio } from '../studio.tsx'

/** Publishes a change set, proposes it, or approves what someone has proposed. */
export function PublishForm({ set, review, reload }: { set: ChangeSet; review: ReviewedSet; reload(): void }) {
  const { api, say, live, session, refreshLive, workIn } = useStudio()
  const may_publish = useMay('publisher')
  const may_propose = useMay('author')
  const [message, setMessage] = useState('')
  const { busy, problem, run } = useAction()
  const { base, revision, errors, conflicts, differences_total } = review
  const { proposal } = set
  const is_publishable = errors === 0 && conflicts === 0 && differences_total > 0
  const is_waiting = proposal?.is_current === true
  const is_own = proposal?.by === session.name
  const is_proposing = live?.two_persons === true || !may_publish

  const send = (path: string, body: object) =>
    run(async () => {
      const published = await api.send<Published>('POST', `/sets/${set.id}/${path}`, { base, revision, ...body })
      say(describePublished(published))
      if ('version' in published) workIn(undefined)
      setMessage('')
      refreshLive()
      reload()
    })
  if (!may_propose) return <p class="notice">Only a publisher can publish this.</p>
  return (
    <>
      {proposal !== null && (
        <section class="card proposal" aria-label="Proposal">
          <h2>
            {is_waiting ? 'Proposed' : 'Proposed, then changed'}: “{proposal.message}”
          </h2>
          <p>
            By {proposal.by}, <Ago at={proposal.at} />.
            {!is_waiting && ' It was changed afterwards: propose it again before it can be approved.'}
          </p>
          <footer>
            {is_waiting && may_publish && (
              <button
                type="button"
                class="primary big"
                disabled={busy || is_own || !is_publishable}
                onClick={() => send('approve', {})}
              >
                {is_own ? 'Someone else has to approve' : `Approve and publish version ${base + 1}`}
              </button>
            )}
            {(is_own || may_publish) && (
              <button
                type="button"
                disabled={busy}
                onClick={() =>
                  run(async () => {
                    await api.send('DELETE', `/sets/${set.id}/proposal`)
                    say(is_own ? 'The proposal is withdrawn' : 'The proposal is rejected')
                    refreshLive()
                    reload()
                  })
                }
              >
                {is_own ? 'Withdraw' : 'Reject'}
              </button>
            )}
          </footer>
          {is_waiting && problem && <Failed problem={problem} {...(problem.status === 409 ? { again: reload } : {})} />}
        </section>
      )}
      {live?.two_persons && live.publishers === 1 && may_publish && (
        <p class="notice">
          You are the only publisher, and publishing takes two people: nobody can approve what you propose. Let an
          author propose it, or invite a second publisher on the page <Link href="/people">People</Link>. A publisher
          you invite can approve your proposals after one day. You can switch off and roll back on your own.
        </p>
      )}
      {!is_waiting && (
        <Form
          class="card publish"
          aria-label="Publish"
          submit={() => {
            send(may_publish ? 'publish' : 'propose', { message })
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
          {problem && problem.fields.message === undefined && (
            <Failed problem={problem} {...(problem.status === 409 ? { again: reload } : {})} />
          )}
          {problem && problem.findings.length > 0 && <Findings findings={problem.findings} />}
          <footer>
            <button type="submit" class="primary big" disabled={busy || !is_publishable}>
              {busy ? 'One moment…' : `${is_proposing ? 'Propose' : 'Publish'} version ${base + 1}`}
            </button>
            {errors > 0 && <span class="problem">Fix the errors above first.</span>}
            {conflicts > 0 && <span class="problem">Resolve the conflicts above first.</span>}
          </footer>
        </Form>
      )}
    </>
  )
}
