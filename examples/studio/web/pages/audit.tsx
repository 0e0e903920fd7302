import type { AuditEntry } from '../../shared/people.ts'
import { query } from '../api.ts'
import { Empty, Failed, Loading, usePages } from '../load.tsx'
import { useTitle } from '../parts/page.ts'
import { Scrolled } from '../parts/scrolled.tsx'
import { Ago } from '../parts/time.tsx'
import { useStudioEvent } from '../studio.tsx'

const PAGE = 100

/** Who did what. */
export function AuditPage() {
  const log = usePages<AuditEntry>((after, limit) => `/audit${query({ before: after?.id, limit })}`, PAGE)
  useTitle('Audit log')
  useStudioEvent('change', log.reload)
  useStudioEvent('version', log.reload)
  return (
    <>
      <div class="head">
        <h1>Audit log</h1>
      </div>
      <p class="hint">Entries cannot be changed or removed: the database refuses it.</p>
      {log.problem && <Failed problem={log.problem} again={log.reload} />}
      {log.items === undefined && log.loading && <Loading />}
      {log.items?.length === 0 && <Empty>No entries yet.</Empty>}
      {log.items && log.items.length > 0 && (
        <Scrolled kind="scroll" label="Entries">
          <table class="audit">
            <thead>
              <tr>
                <th scope="col">When</th>
                <th scope="col">Who</th>
                <th scope="col">What</th>
                <th scope="col">Details</th>
              </tr>
            </thead>
            <tbody>
              {log.items.map(({ id, at, actor, action, subject, details }) => (
                <tr key={id}>
                  <td>
                    <Ago at={at} />
                  </td>
                  <td>{actor}</td>
                  <td>
                    {action} <b>{subject}</b>
                  </td>
                  <td class="details">{describe(details)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </Scrolled>
      )}
      {log.has_more && (
        <button type="button" class="more" disabled={log.loading} onClick={log.more}>
          Earlier entries
        </button>
      )}
    </>
  )
}

function describe(details: Readonly<Record<string, unknown>>): string {
  return Object.entries(details)
    .map(([name, value]) => `${name}: ${typeof value === 'string' ? value : JSON.stringify(value)}`)
    .join(', ')
}
