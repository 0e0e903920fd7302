import type { Edit, ReviewedSet } from '../../shared/changes.ts'
import { useAction } from '../form.tsx'
import { Failed } from '../load.tsx'
import { Ago } from '../parts/time.tsx'
import { Link } from '../router.tsx'
import { useMay, useStudio } from '../studio.tsx'
import { countChanges, pluginPath } from './words.ts'

/** Of changes, as many as are shown; all of them are in the differences. */
const MOST = 50

/** What a change set changes, each with the way to it and out of it. */
export function ChangeList({ set, review, reload }: { set: number; review: ReviewedSet; reload(): void }) {
  const { api, say } = useStudio()
  const may_write = useMay('author')
  const { busy, problem, run } = useAction()
  const { changes, changes_total } = review
  return (
    <section aria-label="Changes">
      <h2>{countChanges(changes_total)}</h2>
      {problem && <Failed problem={problem} />}
      <ul class="plugins changes">
        {changes.slice(0, MOST).map((edit) => {
          const { kind, domain, name, phase, change, conflicts, updated_by, updated_at } = edit
          const title = titleOf(edit)
          return (
            <li key={`${kind} ${domain} ${name} ${phase}`}>
              <span class="row-of">
                <span class={`badge ${change}`}>{change}</span>
                {kind === 'plugin' ? (
                  <Link class="name" href={pluginPath(edit, set)}>
                    {name}
                  </Link>
                ) : kind === 'general' ? (
                  <Link class="name" href={`/document?set=${set}`}>
                    {title}
                  </Link>
                ) : (
                  <span class="name">{title}</span>
                )}
                {kind === 'plugin' && (
                  <>
                    <span class="of">{domain}</span> <span class="phase">{phase}</span>
                  </>
                )}
                {conflicts.length > 0 && (
                  <span class="badge bad">
                    conflict{conflicts[0]?.field ? `: ${conflicts.map(({ field }) => field).join(', ')}` : ''}
                  </span>
                )}
                <small>
                  {updated_by ?? 'the studio'}, <Ago at={updated_at} />
                </small>
              </span>
              {may_write && (
                <button
                  type="button"
                  class="quiet small"
                  disabled={busy}
                  aria-label={`Discard the change of ${title}`}
                  onClick={() =>
                    run(async () => {
                      await api.send('DELETE', `/sets/${set}/changes`, { kind, domain, name, phase })
                      say(`The change of ${title} is discarded`)
                      reload()
                    })
                  }
                >
                  Discard
                </button>
              )}
            </li>
          )
        })}
      </ul>
      {changes_total > MOST && <p class="hint">{changes_total - MOST} more: see the differences.</p>}
    </section>
  )
}

function titleOf({ kind, domain, name }: Edit): string {
  if (kind === 'plugin') return name
  if (kind === 'domain') return `domain ${domain}`
  if (kind === 'general') return 'settings for all domains'
  return domain === '' ? 'order of domains' : `order in ${domain}`
}
