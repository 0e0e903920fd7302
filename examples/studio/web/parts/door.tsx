import type { ComponentChildren } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import { Form, TextField, useAction } from '../form.tsx'
import { Failed } from '../load.tsx'
import { CodeField } from './code-field.tsx'
import { PasswordField } from './password-field.tsx'

export interface Credentials {
  readonly name: string
  readonly password: string
  /** Of the second factor, once it was asked for. */
  readonly code?: string
}

/** What somebody sees who is not signed in. */
export function Door({ title, children }: { title: string; children: ComponentChildren }) {
  return (
    <main class="door">
      <div class="card">
        <h1>
          <img src="/icon.svg" alt="" width="26" height="26" /> {title}
        </h1>
        {children}
      </div>
    </main>
  )
}

/**
 * Asks for a name and a password.
 *
 * @param is_new whether they are being chosen
 */
export function CredentialsForm({
  action,
  is_new = false,
  known_name,
  send,
}: {
  action: string
  is_new?: boolean
  /** Of who is known already: a password is asked for alone. */
  known_name?: string | undefined
  send(credentials: Credentials): Promise<unknown>
}) {
  const [name, setName] = useState(known_name ?? '')
  const [password, setPassword] = useState('')
  const [code, setCode] = useState('')
  const [has_second, setHasSecond] = useState(false)
  const [is_sent, setIsSent] = useState(false)
  const { busy, problem, run } = useAction()
  if (problem?.fields.code !== undefined && !has_second) setHasSecond(true)
  // That it is asked for is no fault.
  const is_asked = problem?.fields.code !== undefined && !is_sent
  useEffect(() => {
    document.title = `${action} · dynacode studio`
  }, [action])
  return (
    <Form
      submit={() => {
        setIsSent(has_second)
        run(() => send({ name, password, ...(has_second ? { code } : {}) }))
      }}
    >
      {known_name === undefined && (
        <TextField
          label="Name"
          {...(is_new ? { hint: 'Others see it in the audit log.' } : {})}
          value={name}
          change={setName}
          problem={problem?.fields.name}
          autocomplete="username"
          required
          autofocus
        />
      )}
      <PasswordField
        label="Password"
        is_new={is_new}
        value={password}
        change={setPassword}
        problem={problem?.fields.password}
      />
      {has_second && <CodeField value={code} change={setCode} problem={is_asked ? undefined : problem?.fields.code} />}
      {problem && !is_asked && <Failed problem={problem} />}
      <button type="submit" class="primary" disabled={busy}>
        {busy ? 'Please wait…' : action}
      </button>
    </Form>
  )
}
