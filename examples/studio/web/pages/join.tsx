import { useState } from 'preact/hooks'
import type { Api, Session } from '../api.ts'
import { CredentialsForm, Door } from '../parts/door.tsx'
import { Link, usePlace } from '../router.tsx'

/** Where an invitation leads; the secret stands behind the #, which no server and no log gets to see. */
export function JoinPage({ api, begin }: { api: Api; begin(session: Session): void }) {
  const { go } = usePlace()
  const [invitation] = useState(() => location.hash.slice(1))
  if (invitation === '') {
    return (
      <Door title="dynacode studio">
        <p>The link is not whole: what stands behind its # is missing. Copy all of it, or ask for another.</p>
        <p>
          <Link href="/">To sign in</Link>
        </p>
      </Door>
    )
  }
  return (
    <Door title="Welcome">
      <p>You were invited to dynacode studio. Choose how you will sign in; the link works once.</p>
      <CredentialsForm
        action="Join"
        is_new
        send={async (credentials) => {
          begin(await api.send<Session>('POST', '/accounts', { invitation, ...credentials }))
          go('/', { replace: true })
        }}
      />
    </Door>
  )
}
