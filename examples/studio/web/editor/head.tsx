import { useState } from 'preact/hooks'
import type { Plugin } from '../../shared/changes.ts'
import { query } from '../api.ts'
import { PublishDialog } from '../changes/publish-dialog.tsx'
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
  domain: string
  loaded: Plugin | undefined
  editing: Editing
}) {
  const { openKillSwitch, live } = useStudio()
  const { go } = usePlace()
  const may_write = useMay('author')
  const may_publish = useMay('publisher')
  const [doing, setDoing] = useState<'move' | 'remove' | 'publish'>()
  const stop = () => setDoing(undefined)
  return (
    <>
      <nav class="crumbs" aria-label="Breadcrumb">
        <Link href={`/${query({ domain })}`}>{domain}</Link> <span aria-hidden="true">/</span>
      </nav>
      <div class="head">
        <h1>{base?.name ?? 'New plugin'}</h1>
        {may_write && (
          <span class="hint" role="status">
            {busy ? 'Saving…' : is_changed ? 'Not saved' : loaded?.change == null ? '' : 'Saved in the change set'}
          </span>
        )}
        {base !== undefined && loaded?.live != null && may_publish && (
          <button type="button" class="danger-quiet" onClick={() => openKillSwitch({ domain, plugin: base.name })}>
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
        {may_write && loaded !== undefined && loaded.change !== null && (
          <button type="button" class="primary" disabled={busy || is_changed} onClick={() => setDoing('publish')}>
            {may_publish && !live?.two_persons ? 'Publish…' : 'Propose…'}
          </button>
        )}
      </div>
      {base && loaded && doing === 'move' && <MovePlugin plugin={loaded} close={stop} />}
      {loaded && loaded.set !== null && doing === 'publish' && (
        <PublishDialog set={loaded.set} plugin={loaded} given={`${loaded.name}: ${loaded.change}`} close={stop} />
      )}
      {base && loaded && doing === 'remove' && (
        <Removal
          name={base.name}
          what="plugins"
          body={{ key: { domain, name: loaded.name, phase: loaded.phase }, revision: base.revision }}
          close={stop}
          removed={() => {
            forget()
            go(`/${query({ domain })}`)
          }}
        >
          The plugin is removed in the change set.
        </Removal>
      )}
    </>
  )
}
