import { useCallback, useMemo, useRef, useState } from 'preact/hooks'
import type { Plugin } from '../../shared/changes.ts'
import type { ShadowRuns } from '../../shared/fleet.ts'
import { query } from '../api.ts'
import { problemsOf, useCheck } from '../editor/check.ts'
import { CheckedCode } from '../editor/checked-code.tsx'
import { Conflict } from '../editor/conflict.tsx'
import { useEditing } from '../editor/editing.ts'
import { EditorHead } from '../editor/head.tsx'
import { LiveConflict } from '../editor/live-conflict.tsx'
import { LiveState } from '../editor/live-state.tsx'
import { PluginFields } from '../editor/plugin-fields.tsx'
import { PHASES, type PluginDraft, writePlugin } from '../editor/plugin-form.ts'
import { Steps } from '../editor/steps.tsx'
import { SelectField, TextField } from '../form.tsx'
import { Failed, Show, useLoad } from '../load.tsx'
import { useTitle } from '../parts/page.ts'
import { ShadowCounts } from '../parts/shadow-counts.tsx'
import { usePlace } from '../router.tsx'
import { useMay, useStudio, useStudioEvent } from '../studio.tsx'
import { TryForm } from './try.tsx'

/** One plugin, of the address; without a name there, a new one of a domain. */
export function EditorPage() {
  const { search } = usePlace()
  const { set } = useStudio()
  const [domain, name, phase] = ['domain', 'name', 'phase'].map((part) => search.get(part) ?? undefined)
  const key = `${domain} ${name} ${phase}`
  const is_new = name === undefined
  const plugin = useLoad<Plugin>(is_new ? undefined : `/plugin${query({ domain, name, phase, set })}`)
  // While it is loaded in another change set, what is typed stays.
  const last = useRef<{ key: string; plugin: Plugin }>(undefined)
  if (plugin.value !== undefined) last.current = { key, plugin: plugin.value }
  const loaded = plugin.value ?? (last.current?.key === key ? last.current.plugin : undefined)
  useTitle(name ?? 'New plugin')
  if (domain === undefined) return <Failed problem={new Error('The address names no domain.')} />
  if (!is_new && loaded === undefined) return <Show of={plugin}>{() => null}</Show>
  return (
    <>
      {plugin.problem && <Failed problem={plugin.problem} again={plugin.reload} />}
      <Editor key={key} domain={domain} loaded={loaded} reload={plugin.reload} />
    </>
  )
}

function Editor({ domain, loaded, reload }: { domain: string; loaded: Plugin | undefined; reload(): void }) {
  const may_write = useMay('author')
  const editing = useEditing(domain, loaded, reload)
  const { base, form, draft, busy, problem, typed, theirs, set, save } = editing
  const [trying, setTrying] = useState(false)

  const document = { domains: [{ name: domain, plugins: [whole(draft)] }] }
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
          resolve={(merged) => (merged === undefined ? editing.take(theirs) : save(merged, { over: theirs }))}
        />
      )}
      {loaded && theirs === undefined && loaded.conflicts.length > 0 && !editing.is_changed && (
        <LiveConflict plugin={loaded} busy={busy} save={save} reload={reload} />
      )}
      {loaded && <LiveState plugin={loaded} />}
      {base !== undefined && loaded !== undefined && may_write && (
        <Steps
          form={form}
          change={set}
          busy={busy}
          save={(part) => save(writePlugin({ ...form, ...part }, base.fields).draft)}
          plugin={loaded}
        />
      )}
      <div class="editor-panes">
        <div>
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
                options={(phases.includes(form.phase) ? phases : [...phases, form.phase]).map((phase) => [
                  phase,
                  phase,
                ])}
                change={(phase) => set({ phase })}
                problem={problemAt('phase')}
              />
            </div>
          </fieldset>
          <CheckedCode form={form} change={set} checked={checked} problemAt={problemAt} read_only={!may_write} />
        </div>
        <div>
          {base !== undefined && <Shadow domain={domain} plugin={base.name} />}
          <fieldset class="bare" disabled={!may_write}>
            <PluginFields form={form} change={set} problemAt={problemAt} />
          </fieldset>
          {may_write && (
            <details class="card" open={trying} onToggle={({ currentTarget }) => setTrying(currentTarget.open)}>
              <summary>
                <h2>Try this code</h2>
              </summary>
              {trying && <TryForm document={document} host={hostOf(domain)} />}
            </details>
          )}
        </div>
      </div>
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
