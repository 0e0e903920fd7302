import { useState } from 'preact/hooks'
import type { Domain } from '../../shared/draft.ts'
import { query } from '../api.ts'
import { Dialog } from '../dialog.tsx'
import { TextField, useAction } from '../form.tsx'
import { Failed } from '../load.tsx'
import { usePlace } from '../router.tsx'
import { useStudio } from '../studio.tsx'

/** Asks for which hosts a domain is: a new one, or one that there is. */
export function DomainName({ domain, close }: { domain?: Domain; close(): void }) {
  const { api, say } = useStudio()
  const { go } = usePlace()
  const [name, setName] = useState(domain?.name ?? '')
  const [revision, setRevision] = useState(domain?.revision)
  const { busy, problem, run } = useAction()
  const theirs = problem?.status === 409 ? (problem.current as Domain | undefined) : undefined

  async function save() {
    if (domain === undefined) {
      const { id } = await api.send<Domain>('POST', '/domains', { name })
      go(`/${query({ domain: id })}`)
      return
    }
    await api.send('PUT', `/domains/${domain.id}`, { name, revision: theirs?.revision ?? revision })
    say(`${domain.name} was renamed to ${name} in the draft`)
  }
  return (
    <Dialog title={domain === undefined ? 'New domain' : `Rename ${domain.name}`} close={close}>
      <form
        onSubmit={async (event) => {
          event.preventDefault()
          if (theirs !== undefined) setRevision(theirs.revision)
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
        {theirs ? (
          <p class="notice">
            Someone else renamed it in the meantime: it is now called {theirs.name}. Save to rename it anyway.
          </p>
        ) : (
          problem && problem.fields.name === undefined && <Failed problem={problem} />
        )}
        <footer>
          <button type="button" onClick={close}>
            Cancel
          </button>
          <button type="submit" class="primary" disabled={busy}>
            {domain === undefined ? 'Add' : 'Rename'}
          </button>
        </footer>
      </form>
    </Dialog>
  )
}
