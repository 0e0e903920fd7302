import type { ListedLink } from '../../shared/people.ts'
import { useAction } from '../form.tsx'
import { Failed, type Loaded, Show } from '../load.tsx'
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
            <ul class="rows">
              {list.map((link) => (
                <li key={link.id}>
                  <span class="what">
                    <b>{describe(link)}</b>{' '}
                    <small>
                      by {link.created_by ?? 'the studio'}, <Ago at={link.created_at} />
                    </small>
                  </span>
                  {link.waits && <span class="badge warn">needs a second publisher</span>}
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
                </li>
              ))}
            </ul>
          </section>
        )
      }
    </Show>
  )
}

function describe({ kind, role, name }: ListedLink): string {
  if (kind === 'account') return `Invitation as ${role}`
  return kind === 'password' ? `New password for ${name}` : `${name} becomes a publisher`
}
