import { useCallback, useEffect, useMemo, useRef, useState } from 'preact/hooks'
import type { Session } from '../shared/people.ts'
import { createApi, type Problem } from './api.ts'
import { Failed, Loading } from './load.tsx'
import { JoinPage } from './pages/join.tsx'
import { SignInPage } from './pages/sign-in.tsx'
import { PlaceProvider, useAddress } from './router.tsx'
import { Shell } from './shell.tsx'

/** Who is signed in; `null`: nobody; undefined: not known yet. */
type Known = Session | null | undefined

export function App() {
  const place = useAddress()
  const [session, setSession] = useState<Known>()
  const [problem, setProblem] = useState<Problem>()
  const [has_ended, setEnded] = useState(false)
  const csrf = useRef('')
  csrf.current = session?.csrf ?? ''
  const api = useMemo(
    () =>
      createApi(
        () => csrf.current,
        () => {
          setEnded(true)
          setSession(null)
        },
      ),
    [],
  )
  const look = useCallback(() => {
    setProblem(undefined)
    api.get<Session>('/session').then(setSession, (error: Problem) => {
      if (error.status === 401) setSession(null)
      else setProblem(error)
    })
  }, [api])
  useEffect(look, [look])

  const begin = (signed: Session) => {
    setEnded(false)
    setSession(signed)
  }
  return (
    <PlaceProvider value={place}>
      {place.path === '/join' && (session !== undefined || problem) ? (
        // Not before it is known who is signed in: what they send has to say that it is them.
        <JoinPage api={api} begin={begin} />
      ) : problem ? (
        <main class="door">
          <Failed problem={problem} again={look} />
        </main>
      ) : session === undefined ? (
        <main class="door">
          <Loading />
        </main>
      ) : session === null ? (
        <SignInPage api={api} begin={begin} has_ended={has_ended} />
      ) : (
        <Shell api={api} session={session} end={() => setSession(null)} />
      )}
    </PlaceProvider>
  )
}
