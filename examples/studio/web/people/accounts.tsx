import { useState } from 'preact/hooks'
import type { ListedAccount, MadeLink } from '../../shared/people.ts'
import { PERSON_ROLES, type PersonRole } from '../../shared/roles.ts'
import { Confirm } from '../dialog.tsx'
import { useAction } from '../form.tsx'
import { Failed, Show, useLoad } from '../load.tsx'
import { Table } from '../parts/table.tsx'
import { Ago } from '../parts/time.tsx'
import { useStudio } from '../studio.tsx'
import { Secret } from './secret.tsx'

/** Who has an account, and what each may do. */
export function Accounts({ made }: { made(): void }) {
  const { api, session, say } = useStudio()
  const accounts = useLoad<readonly ListedAccount[]>('/accounts')
  const [asked, setAsked] = useState<ListedAccount>()
  const [reset, setReset] = useState<ListedAccount>()
  const [link, setLink] = useState<{ name: string; link: string; waits: boolean }>()
  const { problem, run } = useAction()
  const change = (account: ListedAccount, part: Partial<ListedAccount>) =>
    run(async () => {
      const { waits } = await api.send<{ waits?: boolean }>('PATCH', `/accounts/${account.id}`, part)
      say(waits ? `Another publisher has to approve that ${account.name} becomes one` : `${account.name} was changed`)
      if (waits) made()
    }).then(() => accounts.reload())
  const renew = ({ id, name }: ListedAccount) =>
    run(async () => {
      const { secret, needs_second } = await api.send<MadeLink>('POST', `/accounts/${id}/password-link`)
      setLink({ name, link: `${location.origin}/join#${secret}`, waits: needs_second })
      made()
    })
  return (
    <section class="card" aria-label="Accounts">
      <h2>Accounts</h2>
      {problem && <Failed problem={problem} />}
      {link && (
        <Secret
          key={link.link}
          what={`With this link ${link.name} sets a new password, once, within 48 hours${link.waits ? ', once another publisher has approved it below' : ''}. It is shown only once.`}
          text={link.link}
        />
      )}
      <Show of={accounts}>
        {(list) => (
          <Table
            label="Accounts"
            items={list}
            keyOf={({ id }) => id}
            columns={[
              {
                head: 'Name',
                cell: ({ name }) => (
                  <>
                    <b>{name}</b> {name === session.name && <small>you</small>}
                  </>
                ),
              },
              {
                head: 'Role',
                cell: (account) =>
                  account.active ? (
                    <select
                      aria-label={`Role of ${account.name}`}
                      value={account.role}
                      onChange={({ currentTarget }) => change(account, { role: currentTarget.value as PersonRole })}
                    >
                      {PERSON_ROLES.map((role) => (
                        <option key={role}>{role}</option>
                      ))}
                    </select>
                  ) : (
                    <span class="badge bad">blocked</span>
                  ),
              },
              { head: 'Second factor', cell: ({ second_factor }) => (second_factor ? 'on' : 'off') },
              { head: 'Since', cell: ({ created_at }) => <Ago at={created_at} /> },
            ]}
            actions={(account) =>
              account.active ? (
                <>
                  {account.name !== session.name && (
                    <button
                      type="button"
                      aria-label={`New password for ${account.name}`}
                      onClick={() => renew(account)}
                    >
                      New password…
                    </button>
                  )}
                  {account.second_factor && account.name !== session.name && (
                    <button
                      type="button"
                      aria-label={`Second factor of ${account.name}`}
                      onClick={() => setReset(account)}
                    >
                      Second factor…
                    </button>
                  )}
                  <button type="button" aria-label={`Block ${account.name}`} onClick={() => setAsked(account)}>
                    Block…
                  </button>
                </>
              ) : (
                <button
                  type="button"
                  aria-label={`Unblock ${account.name}`}
                  onClick={() => change(account, { active: true })}
                >
                  Unblock
                </button>
              )
            }
          />
        )}
      </Show>
      {reset && (
        <Confirm
          title={`Remove the second factor of ${reset.name}?`}
          action="Remove"
          danger
          close={() => setReset(undefined)}
          run={async () => {
            await api.send('DELETE', `/accounts/${reset.id}/second-factor`)
            say(`${reset.name} now signs in with the password alone`)
            accounts.reload()
          }}
        >
          <p>
            Do this for someone who lost both the phone and the recovery codes. Make sure that it is {reset.name} who
            asks: until a new second factor is set up, the password alone is enough to sign in.
          </p>
        </Confirm>
      )}
      {asked && (
        <Confirm
          title={`Block ${asked.name}?`}
          action="Block"
          danger
          close={() => setAsked(undefined)}
          run={async () => {
            await api.send('PATCH', `/accounts/${asked.id}`, { active: false })
            accounts.reload()
          }}
        >
          <p>
            {asked.name} is signed out everywhere at once. Tokens that {asked.name} created stop working.
          </p>
        </Confirm>
      )}
    </section>
  )
}
