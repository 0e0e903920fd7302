import { useAction } from '../form.tsx'
import { Failed } from '../load.tsx'
import { More } from '../parts/more.tsx'
import { useMay, useStudio } from '../studio.tsx'
import { ProcessRow } from './process-row.tsx'
import { useProcesses } from './use-processes.ts'

/** Processes that do not report any more: apart from those that do, until somebody dismisses them. */
export function GoneProcesses({ silent, closed }: { silent: number; closed: number }) {
  if (silent + closed === 0) return null
  return <Gone count={silent + closed} />
}

function Gone({ count }: { count: number }) {
  const { api, say } = useStudio()
  const may_dismiss = useMay('author')
  const processes = useProcesses('gone', '')
  const { busy, problem, run } = useAction()
  const dismiss = (id: string | undefined, message: string) =>
    run(async () => {
      await api.send('POST', '/fleet/dismissed', id === undefined ? {} : { id })
      say(message)
      processes.reload()
    })
  return (
    <section aria-label="Silent and closed">
      <div class="head">
        <h2>Silent and closed</h2>
        {may_dismiss && count > 1 && (
          <button type="button" disabled={busy} onClick={() => dismiss(undefined, 'Dismissed')}>
            Dismiss all {count}
          </button>
        )}
      </div>
      <p class="hint">
        A process is silent after three report intervals without a report. A closed process is forgotten after an hour,
        a silent one after a day. One that reports again comes back.
      </p>
      {problem && <Failed problem={problem} />}
      <ul class="instances">
        {processes.items?.map((process) => (
          <ProcessRow
            key={process.id}
            process={process}
            {...(may_dismiss ? { dismiss: ({ id }) => void dismiss(id, 'Dismissed') } : {})}
          />
        ))}
      </ul>
      <More of={{ ...processes, items: processes.items ?? [] }} what="processes" by_sight={false} />
    </section>
  )
}
