import { useState } from 'preact/hooks'
import type { Domain, Plugin } from '../../shared/draft.ts'
import { query } from '../api.ts'
import { Dialog } from '../dialog.tsx'
import { SearchField, useAction } from '../form.tsx'
import { Failed, Show, useLoad } from '../load.tsx'
import { useDelayed } from '../parts/page.ts'
import { useStudio } from '../studio.tsx'

/** Of domains, as many as are shown at once. */
const MOST = 10

/** Puts a plugin into another domain, behind the ones that are there. */
export function MovePlugin({ plugin, close }: { plugin: Plugin; close(): void }) {
  const { api, say } = useStudio()
  const [search, setSearch] = useState('')
  const domains = useLoad<readonly Domain[]>(`/domains${query({ search: useDelayed(search, 100), limit: MOST })}`)
  const { busy, problem, run } = useAction()
  return (
    <Dialog title={`Move ${plugin.name} to another domain`} close={close}>
      <p class="hint">This changes the draft. To change the order within a domain, use the page Plugins.</p>
      <SearchField label="Find a domain" value={search} change={setSearch} />
      {problem && <Failed problem={problem} />}
      <Show of={domains}>
        {(found) => {
          const others = found.filter(({ id }) => id !== plugin.domain_id)
          return (
            <ul class="targets">
              {others.map(({ id, name }) => (
                <li key={id}>
                  <span class="what">{name}</span>
                  <button
                    type="button"
                    disabled={busy}
                    aria-label={`Move to ${name}`}
                    onClick={async () => {
                      const done = await run(async () => {
                        await api.send('POST', `/plugins/${plugin.id}/move`, { before: null, domain_id: id })
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
