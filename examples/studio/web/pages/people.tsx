import { useState } from 'preact/hooks'
import type { ListedLink } from '../../shared/people.ts'
import { useLoad } from '../load.tsx'
import { useTitle } from '../parts/page.ts'
import { Accounts } from '../people/accounts.tsx'
import { Invite } from '../people/invite.tsx'
import { Links } from '../people/links.tsx'
import { Tokens } from '../people/tokens.tsx'

/** Who may do what, people and programs. */
export function PeoplePage() {
  useTitle('People')
  const links = useLoad<readonly ListedLink[]>('/invitations')
  const [agreed, setAgreed] = useState(0)
  return (
    <>
      <div class="head">
        <h1>People and tokens</h1>
      </div>
      <Invite made={links.reload} />
      <Links links={links} agreed={() => setAgreed(agreed + 1)} />
      <Accounts key={agreed} made={links.reload} />
      <Tokens />
    </>
  )
}
