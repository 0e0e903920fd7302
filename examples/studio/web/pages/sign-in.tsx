import { useEffect, useState } from 'preact/hooks'
import type { Api, Session } from '../api.ts'
import { TextField, useAction } from '../form.tsx'
import { Failed } from '../load.tsx'

export function SignInPage({ api, begin, has_ended }: { api: Api; begin(session: Session): void; has_ended: boolean }) {
  const [name, setName] = useState('')
  const [password, setPassword] = useState('')
  const { busy, problem, run } = useAction()
  useEffect(() => {
    document.title = 'Sign in · dynacode studio'
  }, [])
  return (
    <main class="door">
      <form
        class="card"
        onSubmit={(event) => {
          event.preventDefault()
          run(async () => begin(await api.send<Session>('POST', '/session', { name, password })))
        }}
      >
        <h1>
          <Mark /> dynacode studio
        </h1>
        {has_ended && (
          <p class="notice" role="status">
            Your session has ended. Sign in again: what you had not saved is still here.
          </p>
        )}
        <TextField
          label="Name"
          value={name}
          change={setName}
          problem={problem?.fields.name}
          autocomplete="username"
          required
          autofocus
        />
        <TextField
          label="Password"
          type="password"
          value={password}
          change={setPassword}
          problem={problem?.fields.password}
          autocomplete="current-password"
          required
        />
        {problem && <Failed problem={problem} />}
        <button type="submit" class="primary" disabled={busy}>
          {busy ? 'One moment…' : 'Sign in'}
        </button>
        <p class="hint">No account? A publisher can make you a link under People.</p>
      </form>
    </main>
  )
}

export function Mark() {
  return <img src="/icon.svg" alt="" width="26" height="26" />
}
