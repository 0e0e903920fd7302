import { useEffect, useState } from 'preact/hooks'
import type { Fields, General } from '../../shared/changes.ts'
import { query } from '../api.ts'
import { useEdits } from '../changes/use-edits.ts'
import { isObject } from '../editor/condition-form.ts'
import { AreaField, Form, SelectField, useAction } from '../form.tsx'
import { Failed, Show, useLoad } from '../load.tsx'
import { useMay, useStudio, useStudioEvent } from '../studio.tsx'

/** What is said of the whole document: live, or in the change set. */
export function GeneralCard() {
  const { set } = useStudio()
  const general = useLoad<General>(`/general${query({ set })}`)
  useStudioEvent('change', general.reload, 200)
  useStudioEvent('version', general.reload, 200)
  return (
    <section class="card" aria-label="For all domains">
      <h2>For all domains</h2>
      <Show of={general}>{(value) => <GeneralForm loaded={value} reload={general.reload} />}</Show>
    </section>
  )
}

interface GeneralFields {
  readonly status: 'enabled' | 'disabled'
  readonly skip_domains: string
  readonly allow_removal: boolean
  readonly other: string
}

function GeneralForm({ loaded, reload }: { loaded: General; reload(): void }) {
  const { api, say } = useStudio()
  const edit = useEdits()
  const may_write = useMay('author')
  const [base, setBase] = useState(loaded)
  const [form, setForm] = useState(() => read(loaded.fields))
  const { busy, problem, run } = useAction()
  const is_changed = JSON.stringify(form) !== JSON.stringify(read(base.fields))
  const is_behind = loaded.revision !== base.revision
  const set = (part: Partial<GeneralFields>) => setForm((before) => ({ ...before, ...part }))
  const take = (general: General) => {
    setBase(general)
    setForm(read(general.fields))
  }
  // Where nothing was typed, what somebody else has saved is shown at once.
  useEffect(() => {
    if (is_behind && !is_changed) take(loaded)
  })
  const { fields, wrong } = write(form)
  const is_conflict = loaded.conflicts.length > 0
  const at = (field: string) =>
    Object.entries(problem?.fields ?? {}).find(([key]) => key.startsWith(`fields.${field}`))?.[1]

  return (
    <Form
      class="stack"
      submit={() => {
        if (wrong !== undefined) return
        run(async () => {
          const set = await edit('PUT', 'general', { fields, revision: loaded.revision, resolve: is_conflict })
          take(await api.get<General>(`/general${query({ set })}`))
          reload()
          say('Saved in the change set')
        })
      }}
    >
      {is_conflict && (
        <div class="notice failed" role="alert">
          <span>
            What went live conflicts with this change set. Live:{' '}
            <code>{JSON.stringify(Object.fromEntries(loaded.conflicts.map(({ field, live }) => [field, live])))}</code>.
            Save what should hold.
          </span>
          <button type="submit" disabled={busy || wrong !== undefined}>
            Save this change set’s
          </button>
        </div>
      )}
      {is_behind && is_changed && (
        <div class="notice" role="status">
          <span>
            Someone else saved this in the meantime. Their version: <code>{JSON.stringify(loaded.fields)}</code>. Saving
            puts yours in its place.
          </span>
          <button type="button" onClick={() => take(loaded)}>
            Use theirs, discard mine
          </button>
        </div>
      )}
      <fieldset class="bare stack" disabled={!may_write}>
        <div class="grid">
          <SelectField
            label="Plugins are"
            hint="To switch all plugins off right now, use the kill switch."
            value={form.status}
            options={[
              ['enabled', 'enabled'],
              ['disabled', 'disabled'],
            ]}
            change={(status) => set({ status })}
            problem={at('status')}
          />
          <label class="check">
            <input
              type="checkbox"
              checked={form.allow_removal}
              onChange={({ currentTarget }) => set({ allow_removal: currentTarget.checked })}
            />
            Allow this document to remove more plugins than the apps' limit
          </label>
        </div>
        <AreaField
          label="Hosts without plugins"
          hint="One per line, written like the name of a domain. No plugin runs for these hosts."
          rows={Math.min(12, form.skip_domains.split('\n').length + 1)}
          value={form.skip_domains}
          change={(skip_domains) => set({ skip_domains })}
          problem={at('skip_domains')}
        />
        {(form.other !== '' || wrong !== undefined) && (
          <AreaField
            label="Other fields"
            hint="JSON, for fields that are not shown above."
            rows={Math.min(12, form.other.split('\n').length + 1)}
            value={form.other}
            change={(other) => set({ other })}
            problem={wrong}
          />
        )}
      </fieldset>
      {problem && !(problem.status === 409 && is_behind) && <Failed problem={problem} />}
      {may_write && (
        <footer>
          <button type="submit" class="primary" disabled={busy || !is_changed}>
            {busy ? 'Saving…' : 'Save'}
          </button>
          <span class="hint">It goes live when the change set is published.</span>
        </footer>
      )}
    </Form>
  )
}

/** Set by the studio at every publishing, and not for anyone to say. */
const NOT_OURS = ['version', 'expires']

function read(fields: Fields): GeneralFields {
  const { status, skip_domains, allow_removal, ...rest } = fields
  const other = Object.entries(rest).filter(([key, value]) => value !== null && !NOT_OURS.includes(key))
  return {
    status: status === 'disabled' ? 'disabled' : 'enabled',
    skip_domains: Array.isArray(skip_domains) ? skip_domains.join('\n') : '',
    allow_removal: allow_removal === true,
    other: other.length === 0 ? '' : JSON.stringify(Object.fromEntries(other), null, 2),
  }
}

function write({ status, skip_domains, allow_removal, other }: GeneralFields): { fields: Fields; wrong?: string } {
  const hosts = skip_domains
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
  const fields = {
    status,
    ...(hosts.length === 0 ? {} : { skip_domains: hosts }),
    ...(allow_removal ? { allow_removal } : {}),
  }
  if (other.trim() === '') return { fields }
  try {
    const rest: unknown = JSON.parse(other)
    if (isObject(rest)) return { fields: { ...rest, ...fields } }
    return { fields, wrong: 'expected an object: { … }' }
  } catch (error) {
    return { fields, wrong: (error as Error).message }
  }
}
