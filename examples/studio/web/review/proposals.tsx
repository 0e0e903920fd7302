import { useState } from 'preact/hooks'
import type { Proposal } from '../../shared/review.ts'
import { Confirm } from '../dialog.tsx'
import { useLoad } from '../load.tsx'
import { LoadedDifferences } from '../parts/differences.tsx'
import { describePublished, type Published } from '../parts/published.ts'
import { Ago } from '../parts/time.tsx'
import { useMay, useStudio, useStudioEvent } from '../studio.tsx'

/** What waits for a second person; nothing where one is enough. */
export function Proposals() {
  const proposals = useLoad<readonly Proposal[]>('/proposals')
  useStudioEvent('draft', proposals.reload)
  useStudioEvent('version', proposals.reload)
  if (proposals.value === undefined || proposals.value.length === 0) return null
  return (
    <section class="card" aria-label="Proposals">
      <h2>Waiting for approval</h2>
      {proposals.value.map((proposal) => (
        <ProposalEntry key={proposal.id} proposal={proposal} reload={proposals.reload} />
      ))}
    </section>
  )
}

function ProposalEntry({ proposal, reload }: { proposal: Proposal; reload(): void }) {
  const { api, session, say, refreshLive } = useStudio()
  const may_publish = useMay('publisher')
  const [asked, setAsked] = useState<'approve' | 'close'>()
  const [open, setOpen] = useState(false)
  const { id, message, created_by_name, created_at } = proposal
  const is_own = created_by_name === session.name
  return (
    <details onToggle={({ currentTarget }) => setOpen(currentTarget.open)}>
      <summary>
        <b>{message}</b> <small>{created_by_name}</small> <Ago at={created_at} />
      </summary>
      {open && <LoadedDifferences path={`/proposals/${proposal.id}/changes`} />}
      {(may_publish || is_own) && (
        <footer>
          <button type="button" onClick={() => setAsked('close')}>
            {is_own ? 'Withdraw' : 'Reject'}
          </button>
          {may_publish && (
            <button type="button" class="primary" disabled={is_own} onClick={() => setAsked('approve')}>
              {is_own ? 'Someone else has to approve' : 'Approve and publish'}
            </button>
          )}
        </footer>
      )}
      {asked === 'approve' && (
        <Confirm
          title="Approve and publish?"
          action="Publish"
          close={() => setAsked(undefined)}
          run={async () => {
            say(describePublished(await api.send<Published>('POST', `/proposals/${id}/approve`)))
            refreshLive()
            reload()
          }}
        >
          <p>
            “{message}” of {created_by_name} goes live.
          </p>
        </Confirm>
      )}
      {asked === 'close' && (
        <Confirm
          title={is_own ? 'Withdraw the proposal?' : 'Reject the proposal?'}
          action={is_own ? 'Withdraw' : 'Reject'}
          close={() => setAsked(undefined)}
          run={async () => {
            await api.send('DELETE', `/proposals/${id}`)
            reload()
          }}
        >
          <p>The draft stays as it is.</p>
        </Confirm>
      )}
    </details>
  )
}
