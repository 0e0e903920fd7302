import { useState } from 'preact/hooks'
import type { GitState } from '../../shared/review.ts'
import { Confirm } from '../dialog.tsx'
import { useAction } from '../form.tsx'
import { Failed, type Loaded, sentence, useLoad } from '../load.tsx'
import { useMay, useStudio, useStudioEvent } from '../studio.tsx'
import { Findings } from './findings.tsx'

/** Of files, as many as are named. */
const MOST_FILES = 20

/** Undefined where no folder in git is the truth, or as long as it is not known. */
function useGit(): Loaded<GitState> {
  const git = useLoad<GitState>('/git')
  useStudioEvent('version', git.reload, 100)
  useStudioEvent('change', git.reload, 700)
  return git
}

/** Where a folder in git is the truth: what stands in the way of it. Nothing, where nothing does. */
export function GitNotice() {
  const { value } = useGit()
  const { problem, dirty = [], push_problem } = value ?? {}
  const said = problem ?? (dirty.length > 0 ? describeDirty(dirty) : push_problem)
  if (said === undefined || said === null) return null
  return (
    <div class="notice" role="status">
      <span>The folder in git: {said}. See the page Document.</span>
    </div>
  )
}

/** The folder in git, where one is the truth. */
export function GitCard() {
  const { api, say, refreshLive } = useStudio()
  const may_write = useMay('author')
  const may_publish = useMay('publisher')
  const git = useGit()
  const [taking, setTaking] = useState(false)
  const { busy, problem: failed, run } = useAction()
  if (git.value === undefined) return null
  const { commit, version, problem, findings, dirty, push_problem } = git.value
  return (
    <section class="card" aria-label="Folder in git">
      <h2>Folder in git</h2>
      <p>
        {commit === null ? (
          'No commit yet. The first version creates one.'
        ) : (
          <>
            Commit <code>{commit.slice(0, 10)}</code>
            {problem === null && version !== null ? ` is version ${version}.` : ' is checked out.'}
          </>
        )}
      </p>
      {problem !== null && <p class="problem">It is not live: {problem}</p>}
      {findings.length > 0 && <Findings findings={findings} />}
      {dirty.length > 0 && (
        <>
          <p class="problem">
            {sentence(describeDirty(dirty))}. Commit or discard {dirty.length === 1 ? 'it' : 'them'} before you publish.
          </p>
          <ul>
            {dirty.slice(0, MOST_FILES).map((file) => (
              <li key={file}>
                <code>{file}</code>
              </li>
            ))}
          </ul>
        </>
      )}
      {push_problem !== null && <p class="problem">The push failed: {push_problem}</p>}
      {failed && <Failed problem={failed} />}
      <footer>
        {may_write && (
          <button
            type="button"
            disabled={busy}
            onClick={() =>
              run(async () => {
                await api.send('POST', '/git/sync')
                git.reload()
                refreshLive()
              })
            }
          >
            {busy ? 'Checking…' : 'Check for new commits'}
          </button>
        )}
        {may_publish && problem !== null && commit !== null && (
          <button type="button" class="danger-quiet" onClick={() => setTaking(true)}>
            Publish the commit…
          </button>
        )}
      </footer>
      {taking && (
        <Confirm
          title="Publish the commit as it is?"
          action="Publish"
          danger
          close={() => setTaking(false)}
          run={async () => {
            await api.send('POST', '/git/take')
            say('Commit published')
            git.reload()
            refreshLive()
          }}
        >
          <p>
            Everything that is live but not in the commit is removed; earlier versions keep it. Nothing is published if
            the commit has errors.
          </p>
        </Confirm>
      )}
    </section>
  )
}

function describeDirty(files: readonly string[]): string {
  return files.length === 1 ? '1 file has uncommitted changes' : `${files.length} files have uncommitted changes`
}
