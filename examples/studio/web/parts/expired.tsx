import type { Expired } from '../../shared/changes.ts'
import { query } from '../api.ts'
import { useAction } from '../form.tsx'
import { Failed, useLoad } from '../load.tsx'
import { useMay, useStudio, useStudioEvent } from '../studio.tsx'
import { Ago } from './time.tsx'

/**
 * Says that plugins have expired, and puts their removal into a change set; nothing where none has.
 *
 * @param set the change set that is looked at; undefined: what is live, and a change set begins
 */
export function ExpiredPlugins({ set }: { set: number | undefined }) {
  const { api, say, workIn } = useStudio()
  const may_write = useMay('author')
  const { value, reload } = useLoad<Expired>(`/expired${query({ set })}`)
  const { busy, problem, run } = useAction()
  useStudioEvent('change', reload, 300)
  useStudioEvent('version', reload, 300)
  if (value === undefined || value.total === 0 || value.last_at === null) return null
  const { total, last_at } = value
  return (
    <>
      <div class="notice" role="status">
        <span>
          {total === 1 ? '1 plugin has' : `${total} plugins have`} expired{total === 1 ? ' ' : ', the last one '}
          <Ago at={last_at} />. {total === 1 ? 'It no longer runs.' : 'They no longer run.'}
        </span>
        {may_write && (
          <button
            type="button"
            disabled={busy}
            onClick={() =>
              run(async () => {
                const path = `/sets/${set ?? 'new'}/plugins/expired`
                const { set: changed, removed } = await api.send<{ set: number; removed: number }>('DELETE', path)
                workIn(changed)
                say(`${removed === 1 ? '1 plugin is' : `${removed} plugins are`} removed in the change set`)
                reload()
              })
            }
          >
            {total === 1 ? 'Remove it' : `Remove all ${total}`}
          </button>
        )}
      </div>
      {problem && <Failed problem={problem} />}
    </>
  )
}
