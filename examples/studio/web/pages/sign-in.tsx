import type { Session } from '../../shared/people.ts'
import type { Api } from '../api.ts'
import { CredentialsForm, Door } from '../parts/door.tsx'

export function SignInPage({ api, begin, has_ended }: { api: Api; begin(session: Session): void; has_ended: boolean }) {
  return (
    <Door title="dynacode studio">
      {has_ended && (
        <p class="notice" role="status">
          Your session has ended. Sign in again: what you had not saved is still here.
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
