import { useState } from 'preact/hooks'
import { ROLES, type Role } from '../api.ts'
import { Confirm } from '../dialog.tsx'
import { SelectField, TextField, useAction } from '../form.tsx'
import { Empty, Failed, Show, useLoad } from '../load.tsx'
import { useTitle } from '../parts/page.ts'
import { Ago } from '../parts/time.tsx'
import { useStudio } from '../studio.tsx'

interface Account {
  readonly id: number
  readonly name: string
  readonly role: Role
  readonly active: boolean
  readonly created_at: string
}

interface Token {
  readonly id: number
  readonly name: string
  readonly role: string
  readonly created_at: string
  readonly expires_at: string | null
  readonly used_at: string | null
}

const MAY = {
  viewer: 'viewer: may look',
  author: 'author: may write the draft, and try it',
  publisher: 'publisher: may publish, switch off and invite',
} as const
const ROLE_OPTIONS = ROLES.map((role) => [role, MAY[role]] as const)
const TOKEN_OPTIONS = [['reporter', 'reporter: may send reports of instances'] as const, ...ROLE_OPTIONS]

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

function Invite() {
  const { api } = useStudio()
  const [role, setRole] = useState<Role>('author')
  const [link, setLink] = useState<string>()
  const { busy, problem, run } = useAction()
  return (
    <section class="card" aria-label="Invite somebody">
      <h2>Invite somebody</h2>
      <form
        class="line"
        onSubmit={(event) => {
          event.preventDefault()
          run(async () => {
            const { secret } = await api.send<{ secret: string }>('POST', '/invitations', { role })
            setLink(`${location.origin}/join#${secret}`)
          })
        }}
      >
        <SelectField
          label="As"
          value={role}
          options={ROLE_OPTIONS}
          change={(value) => setRole(value)}
          problem={problem?.fields.role}
        />
        <button type="submit" class="primary" disabled={busy}>
          Make a link
        </button>
      </form>
      {problem && <Failed problem={problem} />}
      {link && <Secret what="The link works once, within 48 hours. It is shown only now." text={link} />}
    </section>
  )
}

/** Something that is shown once. */
function Secret({ what, text }: { what: string; text: string }) {
  const [copied, setCopied] = useState(false)
  return (
    <div class="notice secret" role="status">
      <p>{what}</p>
      <div class="line">
        <input readOnly aria-label="Secret" value={text} onFocus={({ currentTarget }) => currentTarget.select()} />
        <button
          type="button"
          onClick={() =>
            navigator.clipboard.writeText(text).then(
              () => setCopied(true),
              () => undefined,
            )
          }
        >
          {copied ? 'Copied' : 'Copy'}
        </button>
      </div>
    </div>
  )
}

function Accounts() {
  const { api, session, say } = useStudio()
  const accounts = useLoad<readonly Account[]>('/accounts')
  const [asked, setAsked] = useState<Account>()
  const { problem, run } = useAction()
  const change = (account: Account, part: Partial<Account>) =>
    run(async () => {
      await api.send('PATCH', `/accounts/${account.id}`, part)
      say(`${account.name} is changed`)
    }).then(() => accounts.reload())
  return (
    <section class="card" aria-label="Accounts">
      <h2>Accounts</h2>
      {problem && <Failed problem={problem} />}
      <Show of={accounts}>
        {(list) => (
          <ul class="rows">
            {list.map((account) => (
              <li key={account.id}>
                <span class="what">
                  <b>{account.name}</b>{' '}
                  <small>
                    {account.name === session.name ? 'you · ' : ''}since <Ago at={account.created_at} />
                  </small>
                </span>
                {account.active ? (
                  <>
                    <select
                      aria-label={`Role of ${account.name}`}
                      value={account.role}
                      onChange={({ currentTarget }) => change(account, { role: currentTarget.value as Role })}
                    >
                      {ROLES.map((role) => (
                        <option key={role}>{role}</option>
                      ))}
                    </select>
                    <button type="button" aria-label={`Shut out ${account.name}`} onClick={() => setAsked(account)}>
                      Shut out…
                    </button>
                  </>
                ) : (
                  <>
                    <span class="badge bad">shut out</span>
                    <button
                      type="button"
                      aria-label={`Let in again: ${account.name}`}
                      onClick={() => change(account, { active: true })}
                    >
                      Let in again
                    </button>
                  </>
                )}
              </li>
            ))}
          </ul>
        )}
      </Show>
      {asked && (
        <Confirm
          title={`Shut ${asked.name} out?`}
          action="Shut out"
          danger
          close={() => setAsked(undefined)}
          run={async () => {
            await api.send('PATCH', `/accounts/${asked.id}`, { active: false })
            accounts.reload()
          }}
        >
          <p>
            {asked.name} is signed out everywhere at once, and the tokens that {asked.name} made no longer work.
          </p>
        </Confirm>
      )}
    </section>
  )
}

function Tokens() {
  const { api, say } = useStudio()
  const tokens = useLoad<readonly Token[]>('/tokens')
  const [name, setName] = useState('')
  const [role, setRole] = useState<string>('reporter')
  const [expires_at, setExpiry] = useState('')
  const [made, setMade] = useState<string>()
  const [asked, setAsked] = useState<Token>()
  const { busy, problem, run } = useAction()
  return (
    <section class="card" aria-label="Tokens">
      <h2>Tokens for programs</h2>
      <form
        class="grid"
        onSubmit={(event) => {
          event.preventDefault()
          run(async () => {
            const until = expires_at === '' ? null : new Date(expires_at).toISOString()
            const { secret } = await api.send<{ secret: string }>('POST', '/tokens', { name, role, expires_at: until })
            setMade(secret)
            setName('')
            tokens.reload()
          })
        }}
      >
        <TextField
          label="Name"
          placeholder="CI"
          value={name}
          change={setName}
          problem={problem?.fields.name}
          required
        />
        <SelectField
          label="May do what a"
          value={role}
          options={TOKEN_OPTIONS}
          change={setRole}
          problem={problem?.fields.role}
        />
        <TextField
          label="Until"
          hint="For good, if empty."
          type="datetime-local"
          value={expires_at}
          change={setExpiry}
          problem={problem?.fields.expires_at}
        />
        <button type="submit" class="primary" disabled={busy}>
          Make a token
        </button>
      </form>
      {problem && <Failed problem={problem} />}
      {made && <Secret what="The token is shown only now." text={made} />}
      <Show of={tokens}>
        {(list) =>
          list.length === 0 ? (
            <Empty>No program has a token.</Empty>
          ) : (
            <ul class="rows">
              {list.map((token) => (
                <li key={token.id}>
                  <span class="what">
                    <b>{token.name}</b>{' '}
                    <small>
                      {token.role} ·{' '}
                      {token.used_at === null ? (
                        'never used'
                      ) : (
                        <>
                          used <Ago at={token.used_at} />
                        </>
                      )}
                      {token.expires_at !== null && <> · until {new Date(token.expires_at).toLocaleString()}</>}
                    </small>
                  </span>
                  <button type="button" aria-label={`Revoke ${token.name}`} onClick={() => setAsked(token)}>
                    Revoke…
                  </button>
                </li>
              ))}
            </ul>
          )
        }
      </Show>
      {asked && (
        <Confirm
          title={`Revoke ${asked.name}?`}
          action="Revoke"
          danger
          close={() => setAsked(undefined)}
          run={async () => {
            await api.send('DELETE', `/tokens/${asked.id}`)
            say(`${asked.name} is revoked`)
            tokens.reload()
          }}
        >
          <p>What uses it can no longer do anything here.</p>
        </Confirm>
      )}
    </section>
  )
}
