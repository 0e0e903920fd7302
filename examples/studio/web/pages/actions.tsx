import { useState } from 'preact/hooks'
import type { Action } from '../../shared/actions.ts'
import { ActionForm } from '../actions/action-form.tsx'
import { Templates } from '../actions/templates.tsx'
import { Show, useLoad } from '../load.tsx'
import { useTitle } from '../parts/page.ts'
import { useMay } from '../studio.tsx'

/** What is done often, and in a hurry: one tap to choose, one field, one tap to do it. */
export function ActionsPage() {
  useTitle('Actions')
  const actions = useLoad<readonly Action[]>('/actions')
  const [chosen, setChosen] = useState<Action>()
  const may_publish = useMay('publisher')
  return (
    <>
      <div class="head">
        <h1>Actions</h1>
      </div>
      <p class="hint">Each makes a plugin that ends by itself. It is checked as every plugin is, and can be undone.</p>
      <Show of={actions}>
        {(list) => (
          <>
            <ul class="actions" aria-label="Actions">
              {list.map((action) => (
                <li key={action.kind}>
                  <button type="button" onClick={() => setChosen(action)}>
                    <b>{action.title}</b>
                    <small>{action.what}</small>
                  </button>
                </li>
              ))}
            </ul>
            {may_publish && (
              <Templates templates={list.filter(({ template }) => template !== null)} changed={actions.reload} />
            )}
          </>
        )}
      </Show>
      {chosen && <ActionForm key={chosen.kind} of={chosen} close={() => setChosen(undefined)} />}
    </>
  )
}
