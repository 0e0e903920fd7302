import { useEffect, useState } from 'preact/hooks'
import type { Session } from '../../shared/people.ts'
import { type Api, Problem } from '../api.ts'
import { Failed, Loading } from '../load.tsx'
import { CredentialsForm, Door } from '../parts/door.tsx'
import { Link, usePlace } from '../router.tsx'

/** Whose password a link sets; null: it makes an account. */
type Purpose = { readonly name: string | null }

/** Where an invitation leads; the secret stands behind the #, which no server and no log gets to see. */
export function JoinPage({ api, begin }: { api: Api; begin(session: Session): void }) {
  const { go } = usePlace()
  const [invitation] = useState(() => location.hash.slice(1))
  const [purpose, setPurpose] = useState<Purpose>()
  const [problem, setProblem] = useState<Problem>()
  const is_whole = invitation !== ''
  useEffect(() => {
    if (!is_whole) return
    api
      .send<Purpose>('POST', '/invitations/look', { invitation })
      .then(setPurpose, (error) => setProblem(error instanceof Problem ? error : undefined))
  }, [api, invitation, is_whole])

  if (!is_whole || problem) {
    return (
      <Door title="dynacode studio">
        {problem ? (
          <Failed problem={problem} />
        ) : (
          <p>The link is incomplete: the part after # is missing. Copy the whole link, or ask for a new one.</p>
        )}
        <p>
          <Link href="/">Sign in</Link>
        </p>
      </Door>
    )
  }
  if (purpose === undefined)
    return (
      <Door title="dynacode studio">
        <Loading />
      </Door>
    )
  const { name } = purpose
  return (
    <Door title="Welcome">
      {name === null ? (
        <p>You were invited to dynacode studio. Choose how you will sign in; the link works once.</p>
      ) : (
        <p>
          Choose a new password, <b>{name}</b>. You are signed out everywhere else; the link works once.
        </p>
      )}
      <CredentialsForm
        action={name === null ? 'Join' : 'Set the password'}
        is_new
        known_name={name ?? undefined}
        send={async (given) => {
          const { name: _, ...known } = given
          const credentials = name === null ? given : known
          begin(await api.send<Session>('POST', '/accounts', { invitation, ...credentials }))
          go('/', { replace: true })
        }}
      />
    </Door>
  )
}
