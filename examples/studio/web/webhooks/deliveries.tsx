import { useState } from 'preact/hooks'
import type { Delivery } from '../../shared/webhooks.ts'
import { Empty, Show, useLoad } from '../load.tsx'
import { Ago } from '../parts/time.tsx'

/** The last messages of a webhook, and what became of each. */
export function Deliveries({ id, name, open }: { id: number; name: string; open: boolean }) {
  const [is_open, setOpen] = useState(open)
  return (
    <details open={is_open} onToggle={({ currentTarget }) => setOpen(currentTarget.open)}>
      <summary>Deliveries</summary>
      {is_open && <List id={id} name={name} />}
    </details>
  )
}

function List({ id, name }: { id: number; name: string }) {
  const deliveries = useLoad<readonly Delivery[]>(`/webhooks/${id}/deliveries`)
  return (
    <Show of={deliveries}>
      {(list) =>
        list.length === 0 ? (
          <Empty>Nothing was sent yet.</Empty>
        ) : (
          <ul class="deliveries" aria-label={`Deliveries of ${name}`}>
            {list.map((delivery) => (
              <li key={delivery.id}>
                <span class={`badge ${BADGES[delivery.state]}`}>{delivery.state}</span>
                <span class="what">
                  {delivery.text}
                  <small>
                    <Ago at={delivery.created_at} />
                    {delivery.error !== null && ` · ${delivery.error}`}
                    {delivery.attempts > 1 && ` · tried ${delivery.attempts} times`}
                    {delivery.state === 'waiting' && (
                      <>
                        {' '}
                        · next try <Ago at={delivery.due_at} />
                      </>
                    )}
                  </small>
                </span>
              </li>
            ))}
          </ul>
        )
      }
    </Show>
  )
}

const BADGES: Readonly<Record<Delivery['state'], string>> = {
  waiting: 'warn',
  delivered: 'good',
  failed: 'bad',
  dropped: 'bad',
}
