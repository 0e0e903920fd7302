import { useState } from 'preact/hooks'
import type { Domain, Plugin } from '../../shared/draft.ts'
import { Removal } from '../parts/removal.tsx'
import { Link, usePlace } from '../router.tsx'
import { useMay, useStudio } from '../studio.tsx'
import type { Editing } from './editing.ts'
import { MovePlugin } from './move-plugin.tsx'

/** Which plugin it is, whether it is saved, and what can be done with it as a whole. */
export function EditorHead({
  domain,
  loaded,
  editing: { base, busy, is_changed, save, forget },
}: {
  domain: Domain
  loaded: Plugin | undefined
  editing: Editing
}) {
  const { openKillSwitch } = useStudio()
  const { go } = usePlace()
  const may_write = useMay('author')
  const may_publish = useMay('publisher')
  const [doing, setDoing] = useState<'move' | 'remove'>()
  const stop = () => setDoing(undefined)
  return (
    <>
      <nav class="crumbs" aria-label="Breadcrumb">
        <Link href={`/?domain=${domain.id}`}>{domain.name}</Link> <span aria-hidden="true">/</span>
      </nav>
      <div class="head">
        <h1>{base?.name ?? 'New plugin'}</h1>
        {may_write && (
          <span class="hint" role="status">
            {busy ? 'Saving…' : is_changed ? 'Not saved' : base === undefined ? '' : 'Saved in the draft'}
          </span>
        )}
        {base !== undefined && may_publish && (
          <button
            type="button"
            class="danger-quiet"
            onClick={() => openKillSwitch({ domain: domain.name, plugin: base.name })}
          >
            Switch off…
          </button>
        )}
        {base !== undefined && may_write && (
          <>
            <button type="button" onClick={() => setDoing('move')}>
              Move…
            </button>
            <button type="button" onClick={() => setDoing('remove')}>
              Remove…
            </button>
          </>
        )}
        {may_write && (
          <button
            type="button"
            class="primary"
            disabled={busy || (!is_changed && base !== undefined)}
            onClick={() => save()}
          >
            Save
          </button>
        )}
      </div>
      {base && loaded && doing === 'move' && <MovePlugin plugin={loaded} close={stop} />}
      {base && loaded && doing === 'remove' && (
        <Removal
          name={base.name}
          path={`/plugins/${loaded.id}`}
          revision={base.revision}
          close={stop}
          removed={() => {
            forget()
            go(`/?domain=${domain.id}`)
          }}
        >
          The plugin is removed from the draft.
        </Removal>
      )}
    </>
  )
}
