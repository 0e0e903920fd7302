import { useState } from 'preact/hooks'
import type { SecondFactorKey } from '../../shared/people.ts'
import { Dialog } from '../dialog.tsx'
import { Form, useAction } from '../form.tsx'
import { Failed, Show, useLoad } from '../load.tsx'
import { CodeField } from '../parts/code-field.tsx'
import { PasswordField } from '../parts/password-field.tsx'
import { useStudio } from '../studio.tsx'
import { QrCode } from './qr-code.tsx'

/** Turns the second factor of one's own account on and off. */
export function SecondFactor({ close }: { close(): void }) {
  const state = useLoad<{ readonly on: boolean }>('/session/second-factor')
  return (
    <Dialog title="Second factor" close={close}>
      <Show of={state}>{({ on }) => (on ? <TurnOff close={close} /> : <TurnOn close={close} />)}</Show>
    </Dialog>
  )
}

function TurnOn({ close }: { close(): void }) {
  const { api } = useStudio()
  const [password, setPassword] = useState('')
  const [key, setKey] = useState<SecondFactorKey>()
  const { busy, problem, run } = useAction()
  if (key !== undefined) return <Confirm own={key} close={close} />
  return (
    <Form
      class="stack"
      submit={() => {
        run(async () => setKey(await api.send<SecondFactorKey>('POST', '/session/second-factor', { password })))
      }}
    >
      <p>
        It is off: anyone who learns your password can sign in as you. When it is on, signing in also takes a code from
        an authenticator app.
      </p>
      <PasswordField value={password} change={setPassword} problem={problem?.fields.password} autofocus />
      {problem && problem.fields.password === undefined && <Failed problem={problem} />}
      <Footer action="Continue" busy={busy} close={close} />
    </Form>
  )
}

/** That the app has the key is shown by a code, before one is asked for. */
function Confirm({ own, close }: { own: SecondFactorKey; close(): void }) {
  const { api, say } = useStudio()
  const [code, setCode] = useState('')
  const [codes, setCodes] = useState<readonly string[]>()
  const { busy, problem, run } = useAction()
  if (codes !== undefined) return <RecoveryCodes codes={codes} close={close} />
  return (
    <Form
      class="stack"
      submit={() => {
        run(async () => {
          const { recovery_codes } = await api.send<{ recovery_codes: readonly string[] }>(
            'PUT',
            '/session/second-factor',
            { code },
          )
          setCodes(recovery_codes)
          say('The second factor is on. Your other sessions are signed out')
        })
      }}
    >
      <p>Scan this with an authenticator app, or enter the key there by hand.</p>
      <QrCode text={own.uri} />
      <p class="key">
        <code>{own.secret.match(/.{1,4}/g)?.join(' ')}</code>
      </p>
      <CodeField
        value={code}
        change={setCode}
        problem={problem?.fields.code}
        hint="The six digits that the app shows."
      />
      {problem && problem.fields.code === undefined && <Failed problem={problem} />}
      <Footer action="Turn on" busy={busy} close={close} />
    </Form>
  )
}

function RecoveryCodes({ codes, close }: { codes: readonly string[]; close(): void }) {
  return (
    <div class="stack">
      <p>
        It is on. Each of these recovery codes lets you sign in once without the app. Store them where you can find them
        without your phone: they are shown only once.
      </p>
      <ul class="recovery">
        {codes.map((code) => (
          <li key={code}>
            <code>{code}</code>
          </li>
        ))}
      </ul>
      <footer>
        <button type="button" onClick={() => navigator.clipboard.writeText(codes.join('\n')).catch(() => undefined)}>
          Copy
        </button>
        <button type="button" class="primary" onClick={close}>
          I have stored them
        </button>
      </footer>
    </div>
  )
}

function TurnOff({ close }: { close(): void }) {
  const { api, say } = useStudio()
  const [password, setPassword] = useState('')
  const [code, setCode] = useState('')
  const { busy, problem, run } = useAction()
  return (
    <Form
      class="stack"
      submit={async () => {
        if (!(await run(() => api.send('DELETE', '/session/second-factor', { password, code })))) return
        say('The second factor is off')
        close()
      }}
    >
      <p>It is on. To turn it off, or to move it to another phone, enter your password and a code.</p>
      <PasswordField value={password} change={setPassword} problem={problem?.fields.password} />
      <CodeField value={code} change={setCode} problem={problem?.fields.code} />
      {problem && Object.keys(problem.fields).length === 0 && <Failed problem={problem} />}
      <Footer action="Turn off" busy={busy} close={close} />
    </Form>
  )
}

function Footer({ action, busy, close }: { action: string; busy: boolean; close(): void }) {
  return (
    <footer>
      <button type="button" onClick={close}>
        Cancel
      </button>
      <button type="submit" class="primary" disabled={busy}>
        {action}
      </button>
    </footer>
  )
}
