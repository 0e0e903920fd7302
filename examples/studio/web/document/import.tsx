import { useRef, useState } from 'preact/hooks'
import type { Preview } from '../../shared/review.ts'
import { useAction } from '../form.tsx'
import { Failed } from '../load.tsx'
import { Differences } from '../parts/differences.tsx'
import { Findings } from '../parts/findings.tsx'
import { usePlace } from '../router.tsx'
import { useStudio } from '../studio.tsx'
import { type Given, readFile, readFolder } from './read-files.ts'

/** Makes a change set of a document or a folder; first it shows what that changes. */
export function ImportCard() {
  const { api, say, workIn } = useStudio()
  const { go } = usePlace()
  const [given, setGiven] = useState<Given>()
  const [preview, setPreview] = useState<Preview>()
  const { busy, problem, run } = useAction()
  const inputs = useRef<HTMLDivElement>(null)

  const look = (wanted: Given) => api.send<Preview>('POST', '/import/preview', wanted).then(setPreview)
  const take = (read: () => Promise<Given>) =>
    run(async () => {
      setPreview(undefined)
      const wanted = await read()
      setGiven(wanted)
      await look(wanted)
    })
  function forget() {
    setGiven(undefined)
    setPreview(undefined)
    // The same file may be chosen once more, when it has changed.
    for (const input of inputs.current?.querySelectorAll('input') ?? []) input.value = ''
  }
  return (
    <section class="card" aria-label="Import">
      <h2>Import</h2>
      <p class="hint">
        Starts a change set that makes the document this. You see the changes first; nothing goes live until you
        publish.
      </p>
      <div class="grid" ref={inputs}>
        <label class="field">
          <span>A document (.json) or an archive (.tar.gz)</span>
          <input
            type="file"
            accept=".json,.tar.gz,.tgz,.gz"
            disabled={busy}
            onChange={({ currentTarget: { files } }) => {
              const [file] = files ?? []
              if (file) take(() => readFile(file))
            }}
          />
        </label>
        <label class="field">
          <span>A folder</span>
          <input
            type="file"
            // Not in the types of attributes; every browser has it.
            {...{ webkitdirectory: true }}
            disabled={busy}
            onChange={({ currentTarget: { files } }) => {
              if (files && files.length > 0) take(() => readFolder([...files]))
            }}
          />
        </label>
      </div>
      {busy && preview === undefined && <p role="status">Comparing…</p>}
      {problem && (
        <Failed
          problem={problem}
          {...(problem.status === 409 && given ? { again: () => void run(() => look(given)) } : {})}
        />
      )}
      {preview && given && (
        <>
          <PreviewDetails preview={preview} />
          <footer>
            <button type="button" onClick={forget}>
              Cancel
            </button>
            {preview.differences_total > 0 && (
              <button
                type="button"
                class="primary"
                disabled={busy}
                onClick={() =>
                  run(async () => {
                    const { set } = await api.send<{ set: number }>('POST', '/import', { ...given, base: preview.base })
                    say('Imported as a change set')
                    workIn(set)
                    go(`/changes/${set}`)
                    forget()
                  })
                }
              >
                Start the change set
              </button>
            )}
          </footer>
        </>
      )}
    </section>
  )
}

function PreviewDetails({ preview }: { preview: Preview }) {
  const { domains, plugins, differences, differences_total, findings, findings_total, errors } = preview
  return (
    <div role="status">
      <p>
        {plugins} {plugins === 1 ? 'plugin' : 'plugins'} in {domains} {domains === 1 ? 'domain' : 'domains'}:{' '}
        {differences_total === 0
          ? 'the same as what is live.'
          : `${differences_total === 1 ? 'one difference' : `${differences_total} differences`} from what is live.`}
        {errors > 0 && (
          <b class="problem"> {errors === 1 ? '1 error prevents' : `${errors} errors prevent`} publishing.</b>
        )}
      </p>
      <Differences differences={differences} />
      {differences_total > differences.length && (
        <p class="hint">{differences_total - differences.length} more differences</p>
      )}
      {findings.length > 0 && (
        <details open={errors > 0}>
          <summary>
            <h3>{findings_total === 1 ? '1 problem' : `${findings_total} problems`} found</h3>
          </summary>
          <Findings findings={findings} />
        </details>
      )}
    </div>
  )
}
