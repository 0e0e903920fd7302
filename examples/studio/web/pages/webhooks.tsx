import { useState } from 'preact/hooks'
import type { Webhook } from '../../shared/webhooks.ts'
import { Confirm } from '../dialog.tsx'
import { useAction } from '../form.tsx'
import { Empty, Failed, Show, useLoad } from '../load.tsx'
import { useTitle } from '../parts/page.ts'
import { Secret } from '../people/secret.tsx'
import { useStudio } from '../studio.tsx'
import { Deliveries } from '../webhooks/deliveries.tsx'
import { FORMATS } from '../webhooks/formats.ts'
import { WebhookForm } from '../webhooks/webhook-form.tsx'

/** Where news are sent. */
export function WebhooksPage() {
  useTitle('Webhooks')
  const webhooks = useLoad<readonly Webhook[]>('/webhooks')
  const [secret, setSecret] = useState<string>()
  return (
    <>
      <div class="head">
        <h1>Webhooks</h1>
      </div>
      <p class="hint">
        Messages to a chat or a program when something happens here, or when a process reports trouble.
      </p>
      <WebhookForm
        added={(made) => {
          setSecret(made)
          webhooks.reload()
        }}
      />
      {secret && <Secret what="Messages are signed by this secret. It is shown only now." text={secret} />}
      <Show of={webhooks}>
        {(list) =>
          list.length === 0 ? (
            <Empty>There is no webhook yet.</Empty>
          ) : (
            list.map((webhook) => (
              <Card key={webhook.id} webhook={webhook} reload={webhooks.reload} renewed={setSecret} />
            ))
          )
        }
      </Show>
    </>
  )
}

function Card({ webhook, reload, renewed }: { webhook: Webhook; reload(): void; renewed(secret: string): void }) {
  const { api, say } = useStudio()
  const { id, name, host, format, events, active, paused_because, waiting } = webhook
  const [asked, setAsked] = useState<'remove' | 'renew'>()
  const [turn, setTurn] = useState(0)
  const { busy, problem, run } = useAction()
  const test = () =>
    run(async () => {
      const { state, error } = await api.send<{ state: string; error: string | null }>(
        'POST',
        `/webhooks/${id}/test`,
        {},
      )
      setTurn(turn + 1)
      if (state === 'delivered') say(`${name} has the test message`)
      else say(`The test message did not arrive: ${error}`, 'failed')
    })
  const setActive = (wanted: boolean) =>
    run(async () => {
      await api.send('PATCH', `/webhooks/${id}`, { active: wanted })
      reload()
    })
  return (
    <section class="card webhook" aria-label={name}>
      <div class="head">
        <h2>{name}</h2>
        <button type="button" aria-label={`Send a test to ${name}`} disabled={busy} onClick={test}>
          {busy ? 'Please wait…' : 'Send a test'}
        </button>
        <button
          type="button"
          aria-label={active ? `Pause ${name}` : `Resume ${name}`}
          disabled={busy}
          onClick={() => setActive(!active)}
        >
          {active ? 'Pause' : 'Resume'}
        </button>
        <button type="button" aria-label={`New secret for ${name}`} onClick={() => setAsked('renew')}>
          New secret…
        </button>
        <button type="button" aria-label={`Remove ${name}`} onClick={() => setAsked('remove')}>
          Remove…
        </button>
      </div>
      <dl class="columns">
        <div>
          <dt>State</dt>
          <dd>
            {active ? <span class="badge good">on</span> : <span class="badge bad">paused</span>}
            {waiting > 0 && ` ${waiting} waiting`}
          </dd>
        </div>
        <div>
          <dt>For</dt>
          <dd>{FORMATS[format]}</dd>
        </div>
        <div>
          <dt>Host</dt>
          <dd>{host}</dd>
        </div>
        <div>
          <dt>Events</dt>
          <dd>{events.map((event) => event.replace('_', ' ')).join(', ')}</dd>
        </div>
      </dl>
      {paused_because && <p class="notice failed">Paused by the studio: {paused_because}.</p>}
      {problem && <Failed problem={problem} />}
      <Deliveries key={turn} id={id} name={name} open={turn > 0} />
      {asked === 'remove' && (
        <Confirm
          title={`Remove ${name}?`}
          action="Remove"
          danger
          close={() => setAsked(undefined)}
          run={async () => {
            await api.send('DELETE', `/webhooks/${id}`)
            say(`${name} is removed`)
            reload()
          }}
        >
          <p>Nothing is sent to it any more, and its deliveries are forgotten.</p>
        </Confirm>
      )}
      {asked === 'renew' && (
        <Confirm
          title={`Make a new secret for ${name}?`}
          action="Make it"
          close={() => setAsked(undefined)}
          run={async () => renewed((await api.send<{ secret: string }>('POST', `/webhooks/${id}/secret`, {})).secret)}
        >
          <p>Messages are signed by the new one at once. Whoever verifies them needs it, too.</p>
        </Confirm>
      )}
    </section>
  )
}
