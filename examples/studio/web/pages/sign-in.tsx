import { useEffect, useState } from 'preact/hooks'
import type { Session, SignIn } from '../../shared/people.ts'
import type { Api } from '../api.ts'
import { CredentialsForm, Door } from '../parts/door.tsx'

export function SignInPage({ api, begin, has_ended }: { api: Api; begin(session: Session): void; has_ended: boolean }) {
  const [provider, setProvider] = useState<string | null>(null)
  const [came] = useState(() => REASONS[location.hash])
  useEffect(() => {
    api.get<SignIn>('/sign-in').then(
      (answer) => setProvider(answer.provider),
      () => undefined,
    )
  }, [api])
  return (
    <Door title="dynacode studio">
      {has_ended && (
        <p class="notice" role="status">
          Your session has ended. Sign in again: what you had not saved is still here.
        </p>
      )}
      {came && (
        <p class="notice failed" role="alert">
          {came}
        </p>
      )}
      {provider !== null && (
        <p class="provider">
          <a
            class="button primary"
            href={`/api/sign-in/provider?to=${encodeURIComponent(location.pathname + location.search)}`}
          >
            Sign in with {provider}
          </a>
        </p>
      )}
      <CredentialsForm
        action="Sign in"
        send={async (credentials) => begin(await api.send<Session>('POST', '/session', credentials))}
      />
      <p class="hint">No account? Ask a publisher for an invitation (page People).</p>
    </Door>
  )
}

/** What the address says of who comes back from the provider without being signed in. */
const REASONS: Readonly<Record<string, string>> = {
  '#sign-in-refused': 'The provider knows you, but you have no role here. Ask a publisher who may sign in.',
  '#sign-in-failed': 'Signing in by the provider did not work. Try again; the audit log says why.',
}
