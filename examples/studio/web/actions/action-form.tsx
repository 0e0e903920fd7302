import { useState } from 'preact/hooks'
import type { Acted, Action, ActionInput } from '../../shared/actions.ts'
import type { LiveDomain } from '../../shared/live.ts'
import { Dialog } from '../dialog.tsx'
import { Form, SelectField, TextField, useAction } from '../form.tsx'
import { Failed, useLoad } from '../load.tsx'
import { useMay, useStudio } from '../studio.tsx'

const EVERYWHERE = '*'
const DURATIONS = [
  ['15', '15 minutes'],
  ['60', '1 hour'],
  ['240', '4 hours'],
  ['1440', '1 day'],
  ['10080', '7 days'],
] as const

/** One action as a form: what, where, and for how long. */
export function ActionForm({ of: action, close }: { of: Action; close(): void }) {
  const { api, live, say, refreshLive } = useStudio()
  const proposes = !useMay('publisher') || live?.two_persons === true
  const domains = useLoad<readonly LiveDomain[]>('/live/domains?limit=200')
  const [values, setValues] = useState<Readonly<Record<string, string>>>(() =>
    Object.fromEntries(action.inputs.map(({ name, value }) => [name, value])),
  )
  const [domain, setDomain] = useState(EVERYWHERE)
  const [minutes, setMinutes] = useState('60')
  const { busy, problem, run } = useAction()
  const fields = problem?.fields ?? {}
  const names = (domains.value ?? []).map(({ name }) => name).filter((name) => name !== EVERYWHERE)
  const known = ['domain', 'minutes', ...action.inputs.map(({ name }) => `values.${name}`)]
  return (
    <Dialog title={action.title} close={close}>
      <Form
        class="stack"
        submit={async () => {
          const done = await run(async () => {
            const given = { domain, values, minutes: Number(minutes) }
            const { version } = await api.send<Acted>('POST', `/actions/${action.kind}`, given)
            if (version === null) say('It is proposed: a publisher has to agree')
            else say(`Version ${version} is live`)
            refreshLive()
          })
          if (done) close()
        }}
      >
        <p class="hint">{action.what}.</p>
        {action.inputs.map((input, at) => (
          <Input
            key={input.name}
            of={input}
            is_first={at === 0}
            value={values[input.name] ?? ''}
            change={(value) => setValues({ ...values, [input.name]: value })}
            problem={fields[`values.${input.name}`]}
          />
        ))}
        <SelectField
          label="For how long"
          value={minutes}
          options={DURATIONS}
          change={setMinutes}
          problem={fields.minutes}
        />
        <SelectField
          label="Where"
          value={domain}
          options={[[EVERYWHERE, 'all hosts'] as const, ...names.map((name) => [name, name] as const)]}
          change={setDomain}
          problem={fields.domain}
        />
        {problem && !Object.keys(fields).some((name) => known.includes(name)) && <Failed problem={problem} />}
        {problem && problem.findings.length > 0 && (
          <ul class="problems">
            {problem.findings.map(({ message }) => (
              <li key={message}>{message}</li>
            ))}
          </ul>
        )}
        <footer>
          <button type="button" class="big" onClick={close}>
            Cancel
          </button>
          <button type="submit" class="big danger" disabled={busy}>
            {busy ? 'Please wait…' : proposes ? 'Propose' : `${action.action} now`}
          </button>
        </footer>
      </Form>
    </Dialog>
  )
}

function Input({
  of: { label, hint, placeholder, type },
  value,
  change,
  problem,
  is_first,
}: {
  of: ActionInput
  value: string
  change(value: string): void
  problem: string | undefined
  is_first: boolean
}) {
  return (
    <TextField
      label={label}
      {...(hint === null ? {} : { hint })}
      {...(placeholder === null ? {} : { placeholder })}
      // Digits and dots are on the first page of no phone's keyboard but this one; IPv6 is typed by the letters of a URL's.
      inputMode={type === 'number' ? 'decimal' : type === 'text' ? 'text' : 'url'}
      autocomplete="off"
      value={value}
      change={change}
      problem={problem}
      autofocus={is_first}
    />
  )
}
