import type { ListedLink } from '../../shared/people.ts'
import { useAction } from '../form.tsx'
import { Failed, type Loaded, Show } from '../load.tsx'
import { Table } from '../parts/table.tsx'
import { Ago } from '../parts/time.tsx'
import { useStudio } from '../studio.tsx'

/** Links that can still be used, and what waits for a second publisher. */
export function Links({ links, agreed }: { links: Loaded<readonly ListedLink[]>; agreed(): void }) {
  const { api, session, say } = useStudio()
  const { problem, run } = useAction()
  const change = (method: 'POST' | 'DELETE', path: string, done: string) =>
    run(async () => {
      await api.send(method, path)
      say(done)
    }).then(() => {
      links.reload()
      agreed()
    })
  return (
    <Show of={links}>
      {(list) =>
        list.length === 0 ? null : (
          <section class="card" aria-label="Open links">
            <h2>Open links</h2>
            {problem && <Failed problem={problem} />}
            <Table
              label="Open links"
              items={list}
              keyOf={({ id }) => id}
              columns={[
                { head: 'For', cell: (link) => <b>{describe(link)}</b> },
                { head: 'State', cell: ({ waits }) => <State waits={waits} /> },
                { head: 'By', cell: ({ created_by }) => created_by ?? 'the studio' },
                { head: 'Since', cell: ({ created_at }) => <Ago at={created_at} /> },
              ]}
              actions={(link) => (
                <>
                  {link.waits && link.created_by !== session.name && (
                    <button
                      type="button"
                      aria-label={`Approve: ${describe(link)}`}
                      onClick={() => change('POST', `/invitations/${link.id}/confirm`, 'Approved')}
                    >
                      Approve
                    </button>
                  )}
                  <button
                    type="button"
                    aria-label={`Revoke: ${describe(link)}`}
                    onClick={() => change('DELETE', `/invitations/${link.id}`, 'The link no longer works')}
                  >
                    Revoke
                  </button>
                </>
              )}
            />
          </section>
        )
      }
    </Show>
  )
}

function State({ waits }: { waits: boolean }) {
  return waits ? <span class="badge warn">needs a second publisher</span> : <>can be used</>
}

function describe({ kind, role, name }: ListedLink): string {
  if (kind === 'account') return `Invitation as ${role}`
  return kind === 'password' ? `New password for ${name}` : `${name} becomes a publisher`
}
