import { useState } from 'preact/hooks'
import { Dialog } from '../dialog.tsx'
import { Form, useAction } from '../form.tsx'
import { Failed } from '../load.tsx'
import { useStudio } from '../studio.tsx'
import { PasswordField } from './password-field.tsx'

/** Asks for another password of one's own. */
export function ChangePassword({ close }: { close(): void }) {
  const { api, say } = useStudio()
  const [current, setCurrent] = useState('')
  const [password, setPassword] = useState('')
  const { busy, problem, run } = useAction()
  return (
    <Dialog title="Change your password" close={close}>
      <Form
        class="stack"
        submit={async () => {
          const done = await run(() => api.send('PUT', '/session/password', { current, password }))
          if (!done) return
          say('Password changed. Your other sessions are signed out')
          close()
        }}
      >
        <PasswordField
          label="Current password"
          value={current}
          change={setCurrent}
          problem={problem?.fields.current}
          autofocus
        />
        <PasswordField
          label="New password"
          is_new
          value={password}
          change={setPassword}
          problem={problem?.fields.password}
        />
        {problem && problem.fields.current === undefined && problem.fields.password === undefined && (
          <Failed problem={problem} />
        )}
        <footer>
          <button type="button" onClick={close}>
            Cancel
          </button>
          <button type="submit" class="primary" disabled={busy}>
            Change
          </button>
        </footer>
      </Form>
    </Dialog>
  )
}
