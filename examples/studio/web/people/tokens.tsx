import { useState } from 'preact/hooks'
import type { Token } from '../../shared/people.ts'
import { Confirm } from '../dialog.tsx'
import { Form, SelectField, TextField, useAction } from '../form.tsx'
import { Empty, Failed, Show, useLoad } from '../load.tsx'
import { Table } from '../parts/table.tsx'
import { Ago } from '../parts/time.tsx'
import { useStudio } from '../studio.tsx'
import { ROLE_OPTIONS } from './roles.ts'
import { Secret } from './secret.tsx'

const TOKEN_OPTIONS = [['reporter', 'reporter: can send the reports of instances'] as const, ...ROLE_OPTIONS]

/** Tokens, by which programs sign in. */
export function Tokens() {
  const { api, say } = useStudio()
  const tokens = useLoad<readonly Token[]>('/tokens')
  const [name, setName] = useState('')
  const [role, setRole] = useState<string>('reporter')
  const [expires_at, setExpiry] = useState('')
  const [made, setMade] = useState<string>()
  const [asked, setAsked] = useState<Token>()
  const { busy, problem, run } = useAction()
  return (
    <section class="card" aria-label="Tokens">
      <h2>Tokens for programs</h2>
      <Form
        class="grid"
        submit={() => {
          run(async () => {
            const until = expires_at === '' ? null : new Date(expires_at).toISOString()
            const { secret } = await api.send<{ secret: string }>('POST', '/tokens', { name, role, expires_at: until })
            setMade(secret)
            setName('')
            tokens.reload()
          })
        }}
      >
        <TextField
          label="Name"
          placeholder="CI"
          value={name}
          change={setName}
          problem={problem?.fields.name}
          required
        />
        <SelectField
          label="Role"
          value={role}
          options={TOKEN_OPTIONS}
          change={setRole}
          problem={problem?.fields.role}
        />
        <TextField
          label="Expires at"
          hint="Default: no expiry."
          type="datetime-local"
          value={expires_at}
          change={setExpiry}
          problem={problem?.fields.expires_at}
        />
        <button type="submit" class="primary" disabled={busy}>
          Create a token
        </button>
      </Form>
      {problem && <Failed problem={problem} />}
      {made && <Secret what="Copy the token now: it is shown only once." text={made} />}
      <Show of={tokens}>
        {(list) =>
          list.length === 0 ? (
            <Empty>No tokens yet.</Empty>
          ) : (
            <Table
              label="Tokens"
              items={list}
              keyOf={({ id }) => id}
              columns={[
                { head: 'Name', cell: ({ name: of }) => <b>{of}</b> },
                { head: 'Role', cell: ({ role: of }) => of },
                { head: 'Created', cell: ({ created_at }) => <Ago at={created_at} /> },
                { head: 'Last used', cell: ({ used_at }) => (used_at === null ? 'never' : <Ago at={used_at} />) },
                { head: 'Expires', cell: ({ expires_at: at }) => (at === null ? 'never' : <Ago at={at} />) },
              ]}
              actions={(token) => (
                <button type="button" aria-label={`Revoke ${token.name}`} onClick={() => setAsked(token)}>
                  Revoke…
                </button>
              )}
            />
          )
        }
      </Show>
      {asked && (
        <Confirm
          title={`Revoke ${asked.name}?`}
          action="Revoke"
          danger
          close={() => setAsked(undefined)}
          run={async () => {
            await api.send('DELETE', `/tokens/${asked.id}`)
            say(`${asked.name} was revoked`)
            tokens.reload()
          }}
        >
          <p>Programs that use it are refused from now on.</p>
        </Confirm>
      )}
    </section>
  )
}
