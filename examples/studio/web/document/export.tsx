import { useState } from 'preact/hooks'
import { query } from '../api.ts'
import { TextField } from '../form.tsx'
import { useStudio } from '../studio.tsx'

/** Gives what is shown, or a version, out. */
export function ExportCard() {
  const { set } = useStudio()
  const [text, setText] = useState('')
  const version = text.trim()
  const is_number = version === '' || /^\d+$/.test(version)
  const of = query(version === '' ? { set } : { version })
  return (
    <section class="card" aria-label="Export">
      <h2>Export</h2>
      <div class="grid">
        <TextField
          label="Version"
          hint={set === undefined ? 'Leave it empty for what is live.' : 'Leave it empty for this change set.'}
          inputMode="numeric"
          value={text}
          change={setText}
          problem={is_number ? undefined : `expected a number, got “${version}”`}
        />
      </div>
      {is_number && (
        <footer>
          <a class="button" href={`/api/export${of}`} download={`plugins${version && `-${version}`}.json`}>
            As a document
          </a>
          <a class="button" href={`/api/export/folder${of}`} download={`plugins${version && `-${version}`}.tar.gz`}>
            As a folder (.tar.gz)
          </a>
        </footer>
      )}
    </section>
  )
}
