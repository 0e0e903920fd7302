import { useTitle } from '../parts/page.ts'
import { Accounts } from '../people/accounts.tsx'
import { Invite } from '../people/invite.tsx'
import { Tokens } from '../people/tokens.tsx'

/** Who may do what, people and programs. */
export function PeoplePage() {
  useTitle('People')
  return (
    <>
      <div class="head">
        <h1>People and tokens</h1>
      </div>
      <Invite />
      <Accounts />
      <Tokens />
    </>
  )
}
