import { useState } from 'preact/hooks'
import type { Environment, Promoted } from '../../shared/environments.ts'
import type { Version } from '../../shared/review.ts'
import { Confirm } from '../dialog.tsx'
import { Form, SelectField, TextField, useAction } from '../form.tsx'
import { Empty, Failed, Show, useLoad } from '../load.tsx'
import { useTitle } from '../parts/page.ts'
import { PasswordField } from '../parts/password-field.tsx'
import { useStudio } from '../studio.tsx'

/** Other studios, and what is promoted to them. */
export function EnvironmentsPage() {
  useTitle('Environments')
  const environments = useLoad<readonly Environment[]>('/environments')
  const versions = useLoad<readonly Version[]>('/versions?limit=50')
  return (
    <>
      <div class="head">
        <h1>Environments</h1>
      </div>
      <p class="hint">
        Other studios, such as that of production. A version of this one is proposed there; nothing goes live there
        unless its token is that of a publisher.
      </p>
      <Show of={environments}>
        {(list) =>
          list.length === 0 ? (
            <Empty>There is no other studio yet.</Empty>
          ) : (
            list.map((environment) => (
              <Card
                key={environment.id}
                of={environment}
                versions={versions.value ?? []}
                changed={environments.reload}
              />
            ))
          )
        }
      </Show>
      <AddEnvironment added={environments.reload} />
    </>
  )
}

function Card({
  of: { id, name, url },
  versions,
  changed,
}: {
  of: Environment
  versions: readonly Version[]
  changed(): void
}) {
  const { api, say } = useStudio()
  const [version, setVersion] = useState('')
  const [message, setMessage] = useState('')
  const [asked, setAsked] = useState(false)
  const [done, setDone] = useState<Promoted>()
  const { busy, problem, run } = useAction()
  const newest = versions[0]?.version
  const chosen = version === '' ? String(newest ?? '') : version
  return (
    <section class="card" aria-label={name}>
      <div class="head">
        <h2>
          {name} <small>{url}</small>
        </h2>
        <button type="button" aria-label={`Remove ${name}`} onClick={() => setAsked(true)}>
          Remove…
        </button>
      </div>
      <Form
        class="promotion"
        submit={() => {
          run(async () => {
            const path = `/environments/${id}/promotions`
            setDone(await api.send<Promoted>('POST', path, { version: Number(chosen), message }))
            setMessage('')
          })
        }}
      >
        <SelectField
          label="Version"
          value={chosen}
          options={versions.map(({ version: each, message: about }) => [String(each), `${each}: ${about}`] as const)}
          change={setVersion}
          problem={problem?.fields.version}
        />
        <TextField
          label="What changes, and why"
          value={message}
          change={setMessage}
          problem={problem?.fields.message}
          required
        />
        <button type="submit" class="primary" disabled={busy || newest === undefined}>
          {busy ? 'Please wait…' : `Promote to ${name}`}
        </button>
      </Form>
      {problem && Object.keys(problem.fields).length === 0 && <Failed problem={problem} />}
      {done && (
        <p class="notice" role="status">
          {done.version === null
            ? `It is proposed in ${name}: a publisher there has to agree. `
            : `It is live in ${name}, as version ${done.version}. `}
          <a href={done.url}>To {name}</a>
        </p>
      )}
      {asked && (
        <Confirm
          title={`Remove ${name}?`}
          action="Remove"
          danger
          close={() => setAsked(false)}
          run={async () => {
            await api.send('DELETE', `/environments/${id}`)
            say(`${name} is removed`)
            changed()
          }}
        >
          <p>Its token is forgotten here. Revoke it there as well.</p>
        </Confirm>
      )}
    </section>
  )
}

function AddEnvironment({ added }: { added(): void }) {
  const { api, say } = useStudio()
  const [name, setName] = useState('')
  const [url, setUrl] = useState('')
  const [token, setToken] = useState('')
  const { busy, problem, run } = useAction()
  const fields = problem?.fields ?? {}
  return (
    <section class="card" aria-label="Add an environment">
      <h2>Add an environment</h2>
      <Form
        class="grid"
        submit={() => {
          run(async () => {
            await api.send('POST', '/environments', { name, url, token })
            say(`${name} is added`)
            setName('')
            setUrl('')
            setToken('')
            added()
          })
        }}
      >
        <TextField label="Name" placeholder="Production" value={name} change={setName} problem={fields.name} required />
        <TextField
          label="Address"
          placeholder="https://studio.example.com"
          inputMode="url"
          value={url}
          change={setUrl}
          problem={fields.url}
          required
        />
        <PasswordField label="Token of an author there" value={token} change={setToken} problem={fields.token} />
        <button type="submit" class="primary" disabled={busy}>
          {busy ? 'Please wait…' : 'Add environment'}
        </button>
      </Form>
      {problem && Object.keys(fields).length === 0 && <Failed problem={problem} />}
    </section>
  )
}
