import { useCallback, useMemo, useState } from 'preact/hooks'
import type { Domain, Plugin } from '../../shared/draft.ts'
import type { ShadowRuns } from '../../shared/fleet.ts'
import { query } from '../api.ts'
import { problemsOf, useCheck } from '../editor/check.ts'
import { CheckedCode } from '../editor/checked-code.tsx'
import { Conflict } from '../editor/conflict.tsx'
import { useEditing } from '../editor/editing.ts'
import { EditorHead } from '../editor/head.tsx'
import { PluginFields } from '../editor/plugin-fields.tsx'
import { PHASES, type PluginDraft, writePlugin } from '../editor/plugin-form.ts'
import { Steps } from '../editor/steps.tsx'
import { SelectField, TextField } from '../form.tsx'
import { Failed, Show, useLoad } from '../load.tsx'
import { useTitle } from '../parts/page.ts'
import { ShadowCounts } from '../parts/shadow-counts.tsx'
import { useMay, useStudioEvent } from '../studio.tsx'
import { TryForm } from './try.tsx'

/** One plugin: of an id, or a new one of a domain. */
export function EditorPage({ id, domain_id }: { id?: number; domain_id?: number }) {
  const plugin = useLoad<Plugin>(id === undefined ? undefined : `/plugins/${id}`)
  const of = domain_id ?? plugin.value?.domain_id
  const domain = useLoad<Domain>(of === undefined ? undefined : `/domains/${of}`)
  useTitle(plugin.value?.name ?? 'Plugin')
  if (domain_id === undefined && plugin.value === undefined) return <Show of={plugin}>{() => null}</Show>
  return (
    <Show of={domain}>
      {(found) => <Editor key={id ?? `new-${domain_id}`} domain={found} loaded={plugin.value} reload={plugin.reload} />}
    </Show>
  )
}

function Editor({ domain, loaded, reload }: { domain: Domain; loaded: Plugin | undefined; reload(): void }) {
  const may_write = useMay('author')
  const editing = useEditing(domain, loaded, reload)
  const { base, form, draft, busy, problem, typed, theirs, set, save } = editing
  const [trying, setTrying] = useState(false)

  const document = { domains: [{ name: domain.name, plugins: [whole(draft)] }] }
  const checked = useCheck(document)
  const problems = useMemo(
    () => ({ ...problemsOf(checked.findings), ...problem?.fields, ...typed }),
    [checked.findings, problem, typed],
  )
  const problemAt = useCallback(
    (path: string) =>
      problems[path] ??
      Object.entries(problems).find(([key]) => key.startsWith(`${path}.`) || key.startsWith(`${path}[`))?.[1],
    [problems],
  )
  const phases: readonly string[] = PHASES
  return (
    <>
      <EditorHead domain={domain} loaded={loaded} editing={editing} />
      {editing.drop && (
        <div class="notice" role="status">
          <span>Your unsaved changes were restored.</span>
          <button type="button" onClick={editing.drop}>
            Discard them
          </button>
        </div>
      )}
      {editing.is_behind && (
        <div class="notice" role="status">
          <span>Someone else saved this plugin in the meantime. When you save, you see both versions.</span>
        </div>
      )}
      {problem && <Failed problem={problem} again={editing.clear} />}
      {theirs && (
        <Conflict
          theirs={theirs}
          mine={draft}
          base={base}
          busy={busy}
          resolve={(merged) => (merged === undefined ? editing.take(theirs) : save(merged, theirs))}
        />
      )}
      {base !== undefined && may_write && (
        <Steps
          form={form}
          change={set}
          busy={busy}
          save={(part) => save(writePlugin({ ...form, ...part }, base.fields).draft)}
          about={{ domain: domain.name, plugin: base.name, phase: base.phase }}
        />
      )}
      <fieldset class="bare" disabled={!may_write}>
        <div class="grid">
          <TextField
            label="Name"
            value={form.name}
            change={(name) => set({ name })}
            // An empty form is not yet wrong.
            problem={form.name !== '' || problem !== undefined ? problemAt('name') : undefined}
            maxLength={200}
          />
          <SelectField
            label="Phase"
            value={form.phase}
            options={(phases.includes(form.phase) ? phases : [...phases, form.phase]).map((phase) => [phase, phase])}
            change={(phase) => set({ phase })}
            problem={problemAt('phase')}
          />
        </div>
      </fieldset>
      <CheckedCode form={form} change={set} checked={checked} problemAt={problemAt} read_only={!may_write} />
      {base !== undefined && <Shadow domain={domain.name} plugin={base.name} />}
      <fieldset class="bare" disabled={!may_write}>
        <PluginFields form={form} change={set} problemAt={problemAt} />
      </fieldset>
      {may_write && (
        <details class="card" open={trying} onToggle={({ currentTarget }) => setTrying(currentTarget.open)}>
          <summary>
            <h2>Try this code</h2>
          </summary>
          {trying && <TryForm document={document} host={hostOf(domain.name)} />}
        </details>
      )}
    </>
  )
}

/** Reports that come closer together than this are shown together, in milliseconds. */
const TOGETHER_MS = 500

/** What its shadow would have done, while reports come in. */
function Shadow({ domain, plugin }: { domain: string; plugin: string }) {
  const runs = useLoad<readonly ShadowRuns[]>(`/shadow${query({ domain, plugin })}`)
  useStudioEvent('report', runs.reload, TOGETHER_MS)
  return <ShadowCounts of={runs} by="instance" />
}

const whole = ({ name, phase, fields }: PluginDraft) => ({ name: name || 'unnamed', phase, ...fields })

/** A host that a domain is for; a guess where its name is an expression. */
function hostOf(domain: string): string {
  if (/^[\w.-]+$/.test(domain)) return domain
  if (/^\*\.[\w.-]+$/.test(domain)) return `www${domain.slice(1)}`
  return 'example.com'
}
