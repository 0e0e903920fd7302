import type { Plugin } from '../../shared/changes.ts'
import { useAction } from '../form.tsx'
import { Failed } from '../load.tsx'
import { useStudio } from '../studio.tsx'
import { Conflict } from './conflict.tsx'
import type { Editing } from './editing.ts'

/** The change set and what went live have changed the same: each field is chosen here, or the change is discarded. */
export function LiveConflict({
  plugin,
  busy,
  save,
  reload,
}: {
  plugin: Plugin
  busy: boolean
  save: Editing['save']
  reload(): void
}) {
  const { api, say } = useStudio()
  const { busy: discarding, problem, run } = useAction()
  const { set, domain, name, phase, fields, live_fields, base_fields, change } = plugin
  const discard = () =>
    run(async () => {
      await api.send('DELETE', `/sets/${set}/changes`, { kind: 'plugin', domain, name, phase })
      say('The change is discarded: the plugin is as it is live')
      reload()
    })
  if (live_fields !== null && change !== 'removed')
    return (
      <>
        {problem && <Failed problem={problem} />}
        <Conflict
          theirs={{ name, phase, fields: live_fields }}
          mine={{ name, phase, fields }}
          base={base_fields === null ? undefined : { name, phase, fields: base_fields }}
          busy={busy || discarding}
          is_live
          resolve={(merged) => (merged === undefined ? discard() : save(merged, { resolve: true }))}
        />
      </>
    )
  return (
    <section class="conflict card" aria-label="Two versions">
      <h2>What went live conflicts with this change set</h2>
      <p>
        {live_fields === null
          ? 'This change set changes the plugin, and someone removed it from what is live.'
          : 'This change set removes the plugin, and someone changed it in what is live.'}
      </p>
      {problem && <Failed problem={problem} />}
      <footer>
        <button type="button" disabled={busy || discarding} onClick={discard}>
          {live_fields === null ? 'Leave it removed' : 'Keep it as it is live'}
        </button>
        <button
          type="button"
          class="primary"
          disabled={busy || discarding}
          onClick={() =>
            live_fields === null
              ? save({ name, phase, fields }, { resolve: true })
              : run(async () => {
                  const { revision } = plugin
                  await api.send('DELETE', `/sets/${set}/plugins`, { key: { domain, name, phase }, revision })
                  reload()
                })
          }
        >
          {live_fields === null ? 'Add it again with these changes' : 'Remove it all the same'}
        </button>
      </footer>
    </section>
  )
}
