import { useState } from 'preact/hooks'
import type { Domain } from '../../shared/changes.ts'
import { query } from '../api.ts'
import { useEdits } from '../changes/use-edits.ts'
import { Dialog } from '../dialog.tsx'
import { Form, TextField, useAction } from '../form.tsx'
import { Failed } from '../load.tsx'
import { usePlace } from '../router.tsx'
import { useStudio } from '../studio.tsx'

/** Asks for which hosts a domain is: a new one, or one that there is. */
export function DomainName({ domain, close }: { domain?: Domain; close(): void }) {
  const { say } = useStudio()
  const edit = useEdits()
  const { go } = usePlace()
  const [name, setName] = useState(domain?.name ?? '')
  const { busy, problem, run } = useAction()

  async function save() {
    if (domain === undefined) {
      await edit('POST', 'domains', { name })
      go(`/${query({ domain: name.trim() })}`)
      return
    }
    await edit('PUT', 'domains', { domain: domain.name, name })
    go(`/${query({ domain: name.trim() })}`)
    say(`${domain.name} is renamed to ${name} in the change set`)
  }
  return (
    <Dialog title={domain === undefined ? 'New domain' : `Rename ${domain.name}`} close={close}>
      <Form
        submit={async () => {
          if (await run(save)) close()
        }}
      >
        <TextField
          label="Hosts"
          hint={
            <>
              <code>shop.example.com</code> matches that host, <code>*.example.com</code> its subdomains, <code>*</code>{' '}
              every host. Anything else is a regular expression.
            </>
          }
          value={name}
          change={setName}
          problem={problem?.fields.name}
          required
          autofocus
        />
        {problem && problem.fields.name === undefined && <Failed problem={problem} />}
        <footer>
          <button type="button" onClick={close}>
            Cancel
          </button>
          <button type="submit" class="primary" disabled={busy}>
            {domain === undefined ? 'Add' : 'Rename'}
          </button>
        </footer>
      </Form>
    </Dialog>
  )
}
