import { useState } from 'preact/hooks'
import type { Action } from '../../shared/actions.ts'
import type { LivePlugin } from '../../shared/live.ts'
import { query } from '../api.ts'
import { Confirm } from '../dialog.tsx'
import { Form, SearchField, TextField, useAction } from '../form.tsx'
import { Empty, Failed, Show, useLoad } from '../load.tsx'
import { useStudio } from '../studio.tsx'

/** Templates of the team's own: plugins that are live, kept to be made anew with other parameters. */
export function Templates({ templates, changed }: { templates: readonly Action[]; changed(): void }) {
  const { api, say } = useStudio()
  const [search, setSearch] = useState('')
  const [asked, setAsked] = useState<Action>()
  return (
    <details class="card">
      <summary>
        <h2>Templates of your own</h2>
      </summary>
      <p class="hint">
        A template is a copy of a plugin that is live. Its parameters become the fields of a form: texts, numbers, and
        yes or no.
      </p>
      {templates.length > 0 && (
        <ul class="rows">
          {templates.map((template) => (
            <li key={template.kind}>
              <span class="what">
                <b>{template.title}</b> <small>{template.what}</small>
              </span>
              <button type="button" aria-label={`Remove ${template.title}`} onClick={() => setAsked(template)}>
                Remove…
              </button>
            </li>
          ))}
        </ul>
      )}
      <SearchField label="Find a plugin that is live" value={search} change={setSearch} />
      {search !== '' && <Found search={search} changed={changed} />}
      {asked && (
        <Confirm
          title={`Remove ${asked.title}?`}
          action="Remove"
          danger
          close={() => setAsked(undefined)}
          run={async () => {
            await api.send('DELETE', `/action-templates/${asked.template}`)
            say(`${asked.title} is removed`)
            changed()
          }}
        >
          <p>Plugins that were made of it stay.</p>
        </Confirm>
      )}
    </details>
  )
}

function Found({ search, changed }: { search: string; changed(): void }) {
  const found = useLoad<readonly LivePlugin[]>(`/live/plugins${query({ search, limit: 10 })}`)
  return (
    <Show of={found}>
      {(list) =>
        list.length === 0 ? (
          <Empty>Nothing that is live is called that.</Empty>
        ) : (
          <ul class="rows">
            {list.map((plugin) => (
              <Candidate key={plugin.id} of={plugin} changed={changed} />
            ))}
          </ul>
        )
      }
    </Show>
  )
}

function Candidate({ of: { domain, name, phase }, changed }: { of: LivePlugin; changed(): void }) {
  const { api, say } = useStudio()
  const [title, setTitle] = useState(name)
  const { busy, problem, run } = useAction()
  return (
    <li>
      <span class="what">
        <b>{name}</b>{' '}
        <small>
          {domain} · {phase}
        </small>
      </span>
      <Form
        class="line"
        submit={() => {
          run(async () => {
            await api.send('POST', '/action-templates', { title, domain, name, phase })
            say(`${title} is a template`)
            changed()
          })
        }}
      >
        <TextField label="Title" value={title} change={setTitle} problem={problem?.fields.title} required />
        <button type="submit" disabled={busy}>
          Keep as a template
        </button>
      </Form>
      {problem && problem.fields.title === undefined && <Failed problem={problem} />}
    </li>
  )
}
