import { useState } from 'preact/hooks'
import {
  HOOK_EVENT_TEXTS,
  HOOK_EVENTS,
  HOOK_FORMATS,
  type HookEventType,
  type HookFormat,
  type Webhook,
} from '../../shared/webhooks.ts'
import { Form, SelectField, TextField, useAction } from '../form.tsx'
import { Failed } from '../load.tsx'
import { useStudio } from '../studio.tsx'
import { FORMATS } from './formats.ts'

const OPTIONS = HOOK_FORMATS.map((format) => [format, FORMATS[format]] as const).reverse()

/** Adds a webhook. @param added called with its secret, which is shown once */
export function WebhookForm({ added }: { added(secret: string): void }) {
  const { api, say } = useStudio()
  const [name, setName] = useState('')
  const [url, setUrl] = useState('')
  const [format, setFormat] = useState<HookFormat>('slack')
  const [events, setEvents] = useState<readonly HookEventType[]>(HOOK_EVENTS)
  const { busy, problem, run } = useAction()
  const fields = problem?.fields ?? {}
  return (
    <section class="card" aria-label="Add a webhook">
      <h2>Add a webhook</h2>
      <Form
        submit={() => {
          run(async () => {
            const given = { name, url, format, events }
            const { secret } = await api.send<Webhook & { secret: string }>('POST', '/webhooks', given)
            say(`${name} is added`)
            setName('')
            setUrl('')
            added(secret)
          })
        }}
      >
        <div class="grid">
          <TextField
            label="Name"
            placeholder="Team chat"
            value={name}
            change={setName}
            problem={fields.name}
            required
          />
          <SelectField<HookFormat>
            label="For"
            value={format}
            options={OPTIONS}
            change={setFormat}
            problem={fields.format}
          />
          <TextField
            label="Address"
            hint="It is never shown again."
            placeholder="https://…"
            inputMode="url"
            autocomplete="off"
            value={url}
            change={setUrl}
            problem={fields.url}
            required
          />
        </div>
        <fieldset class="events" aria-describedby={fields.events === undefined ? undefined : 'events-problem'}>
          <legend>Tell it when</legend>
          {HOOK_EVENTS.map((event) => (
            <label key={event} class="check">
              <input
                type="checkbox"
                checked={events.includes(event)}
                onChange={({ currentTarget: { checked } }) =>
                  setEvents(HOOK_EVENTS.filter((each) => (each === event ? checked : events.includes(each))))
                }
              />
              {HOOK_EVENT_TEXTS[event]}
            </label>
          ))}
          {fields.events && (
            <p id="events-problem" class="problem">
              {fields.events}
            </p>
          )}
        </fieldset>
        {problem && Object.keys(fields).length === 0 && <Failed problem={problem} />}
        <footer>
          <button type="submit" class="primary" disabled={busy}>
            {busy ? 'Please wait…' : 'Add webhook'}
          </button>
        </footer>
      </Form>
    </section>
  )
}
