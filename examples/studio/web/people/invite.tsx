import { useState } from 'preact/hooks'
import type { MadeLink } from '../../shared/people.ts'
import type { PersonRole } from '../../shared/roles.ts'
import { Form, SelectField, useAction } from '../form.tsx'
import { Failed } from '../load.tsx'
import { useStudio } from '../studio.tsx'
import { ROLE_OPTIONS } from './roles.ts'
import { Secret } from './secret.tsx'

/** Makes the link by which somebody comes in. */
export function Invite({ made }: { made(): void }) {
  const { api } = useStudio()
  const [role, setRole] = useState<PersonRole>('author')
  const [link, setLink] = useState<string>()
  const [waits, setWaits] = useState(false)
  const { busy, problem, run } = useAction()
  return (
    <section class="card" aria-label="Invite someone">
      <h2>Invite someone</h2>
      <Form
        class="line"
        submit={() => {
          run(async () => {
            const { secret, needs_second } = await api.send<MadeLink>('POST', '/invitations', { role })
            setLink(`${location.origin}/join#${secret}`)
            setWaits(needs_second)
            made()
          })
        }}
      >
        <SelectField
          label="As"
          value={role}
          options={ROLE_OPTIONS}
          change={(value) => setRole(value)}
          problem={problem?.fields.role}
        />
        <button type="submit" class="primary" disabled={busy}>
          Create a link
        </button>
      </Form>
      {problem && <Failed problem={problem} />}
      {link && (
        <Secret
          what={`The link works once, within 48 hours${waits ? ', once another publisher has approved it below' : ''}. It is shown only once.`}
          text={link}
        />
      )}
    </section>
  )
}
