import { useEffect, useState } from 'preact/hooks'
import type { Api, Session } from '../api.ts'
import { TextField, useAction } from '../form.tsx'
import { Failed } from '../load.tsx'
import { Link, usePlace } from '../router.tsx'
import { Mark } from './sign-in.tsx'

/** Where an invitation leads; the secret stands behind the #, which no server and no log gets to see. */
export function JoinPage({ api, begin }: { api: Api; begin(session: Session): void }) {
  const { go } = usePlace()
  const [invitation] = useState(() => location.hash.slice(1))
  const [name, setName] = useState('')
  const [password, setPassword] = useState('')
  const { busy, problem, run } = useAction()
  useEffect(() => {
    document.title = 'Join · dynacode studio'
  }, [])
  if (invitation === '') {
    return (
      <main class="door">
        <div class="card">
          <h1>
            <Mark /> dynacode studio
          </h1>
          <p>The link is not whole: what stands behind its # is missing. Copy all of it, or ask for another.</p>
          <p>
            <Link href="/">To sign in</Link>
          </p>
        </div>
      </main>
    )
  }
  return (
    <main class="door">
      <form
        class="card"
        onSubmit={(event) => {
          event.preventDefault()
          run(async () => {
            begin(await api.send<Session>('POST', '/accounts', { invitation, name, password }))
            go('/', { replace: true })
          })
        }}
      >
        <h1>
          <Mark /> Welcome
        </h1>
        <p>You were invited to dynacode studio. Choose how you will sign in; the link works once.</p>
        <TextField
          label="Name"
          hint="Others see it beside what you do."
          value={name}
          change={setName}
          problem={problem?.fields.name}
          autocomplete="username"
          required
          autofocus
        />
        <TextField
          label="Password"
          hint="12 characters or more."
          type="password"
          value={password}
          change={setPassword}
          problem={problem?.fields.password}
          autocomplete="new-password"
          minLength={12}
          required
        />
        {problem && <Failed problem={problem} />}
        <button type="submit" class="primary" disabled={busy}>
          {busy ? 'One moment…' : 'Join'}
        </button>
      </form>
    </main>
  )
}
