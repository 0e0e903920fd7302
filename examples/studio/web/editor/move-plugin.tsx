import { useState } from 'preact/hooks'
import type { Domain, Plugin } from '../../shared/changes.ts'
import { query } from '../api.ts'
import { useEdits } from '../changes/use-edits.ts'
import { pluginPath } from '../changes/words.ts'
import { Dialog } from '../dialog.tsx'
import { SearchField, useAction } from '../form.tsx'
import { Failed, Show, useLoad } from '../load.tsx'
import { useDelayed } from '../parts/page.ts'
import { usePlace } from '../router.tsx'
import { useStudio } from '../studio.tsx'

/** Of domains, as many as are shown at once. */
const MOST = 10

/** Puts a plugin into another domain, behind the ones that are there. */
export function MovePlugin({ plugin, close }: { plugin: Plugin; close(): void }) {
  const { say, set } = useStudio()
  const { go } = usePlace()
  const edit = useEdits()
  const [search, setSearch] = useState('')
  const domains = useLoad<readonly Domain[]>(`/domains${query({ set, search: useDelayed(search, 100), limit: MOST })}`)
  const { busy, problem, run } = useAction()
  return (
    <Dialog title={`Move ${plugin.name} to another domain`} close={close}>
      <p class="hint">
        This changes the change set, not what is live. To change the order within a domain, use the page Plugins.
      </p>
      <SearchField label="Find a domain" value={search} change={setSearch} />
      {problem && <Failed problem={problem} />}
      <Show of={domains}>
        {(found) => {
          const others = found.filter(({ name, change }) => name !== plugin.domain && change !== 'removed')
          return (
            <ul class="targets">
              {others.map(({ name }) => (
                <li key={name}>
                  <span class="what">{name}</span>
                  <button
                    type="button"
                    disabled={busy}
                    aria-label={`Move to ${name}`}
                    onClick={async () => {
                      const done = await run(async () => {
                        const { domain, name: own, phase } = plugin
                        await edit('POST', 'plugins/move', {
                          key: { domain, name: own, phase },
                          to: name,
                          before: null,
                        })
                        go(pluginPath({ domain: name, name: own, phase }), { replace: true })
                        say(`${plugin.name} is in ${name} now`)
                      })
                      if (done) close()
                    }}
                  >
                    Move
                  </button>
                </li>
              ))}
              {others.length === 0 && <li class="hint">No other domain has that name.</li>}
            </ul>
          )
        }}
      </Show>
    </Dialog>
  )
}
