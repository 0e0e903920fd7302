import { useState } from 'preact/hooks'
import type { Session } from '../../shared/people.ts'
import type { Api } from '../api.ts'
import { SecondFactor } from '../second-factor/dialog.tsx'
import { ChangePassword } from './change-password.tsx'

/** Who is signed in, and what they can do with their account. */
export function AccountMenu({ api, session, end }: { api: Api; session: Session; end(): void }) {
  const [asked, setAsked] = useState<'password' | 'second factor'>()
  const [open, setOpen] = useState(false)
  const ask = (what: typeof asked) => {
    setOpen(false)
    setAsked(what)
  }
  return (
    <>
      <details
        class="menu"
        open={open}
        onToggle={({ currentTarget }) => setOpen(currentTarget.open)}
        onKeyDown={({ key }) => key === 'Escape' && setOpen(false)}
        onFocusOut={({ currentTarget, relatedTarget }) => {
          if (!currentTarget.contains(relatedTarget as Node | null)) setOpen(false)
        }}
      >
        <summary aria-label={`Signed in as ${session.name}`}>{session.name}</summary>
        <div class="card">
          <p>
            {session.name}, <b>{session.role}</b>
          </p>
          {session.has_password && (
            <>
              <button type="button" onClick={() => ask('password')}>
                Change password…
              </button>
              <button type="button" onClick={() => ask('second factor')}>
                Second factor…
              </button>
            </>
          )}
          <button
            type="button"
            onClick={async () => {
              await api.send('DELETE', '/session').catch(() => undefined)
              end()
            }}
          >
            Sign out
          </button>
        </div>
      </details>
      {asked === 'password' && <ChangePassword close={() => setAsked(undefined)} />}
      {asked === 'second factor' && <SecondFactor close={() => setAsked(undefined)} />}
    </>
  )
}
