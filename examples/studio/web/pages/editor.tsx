import { useCallback, useEffect, useMemo, useRef, useState } from 'preact/hooks'
import { type Domain, type Finding, type Plugin, Problem } from '../api.ts'
import { Confirm } from '../dialog.tsx'
import { CodeField } from '../editor/code-field.tsx'
import { isObject } from '../editor/condition-form.ts'
import { Conflict } from '../editor/conflict.tsx'
import { PluginFields } from '../editor/plugin-fields.tsx'
import {
  NEW_PLUGIN,
  PHASES,
  type PluginDraft,
  type PluginForm,
  readPlugin,
  writePlugin,
} from '../editor/plugin-form.ts'
import { Steps } from '../editor/steps.tsx'
import { unsaved } from '../editor/unsaved.ts'
import { SelectField, TextField, useAction } from '../form.tsx'
import { Failed, Show, useLoad } from '../load.tsx'
import { Findings } from '../parts/findings.tsx'
import { useDelayed, useTitle } from '../parts/page.ts'
import { Link, usePlace } from '../router.tsx'
import { useMay, useStudio, useStudioEvent } from '../studio.tsx'
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
      {(found) => <Editor key={id ?? `new-${domain_id}`} domain={found} loaded={plugin.value} newest={plugin} />}
    </Show>
  )
}

interface Base {
  readonly name: string
  readonly phase: string
  readonly fields: Plugin['fields']
  readonly revision: number
}

function Editor({
  domain,
  loaded,
  newest,
}: {
  domain: Domain
  loaded: Plugin | undefined
  newest: { reload(): void }
}) {
  const { api, say, openKillSwitch } = useStudio()
  const { go } = usePlace()
  const may_write = useMay('author')
  const may_publish = useMay('publisher')
  const key = loaded === undefined ? `new plugin ${domain.id}` : `plugin ${loaded.id}`
  const kept = useMemo(() => (may_write ? unsaved.read(key) : undefined), [key, may_write])
  const [base, setBase] = useState<Base | undefined>(kept === undefined ? loaded : kept.base)
  const [form, setForm] = useState<PluginForm>(
    () => kept?.form ?? (loaded === undefined ? NEW_PLUGIN : readPlugin(loaded)),
  )
  const [was_kept, setKept] = useState(kept !== undefined)
  const [theirs, setTheirs] = useState<Plugin>()
  const [removing, setRemoving] = useState(false)
  const [goto, setGoto] = useState<{ line: number }>()
  const [trying, setTrying] = useState(false)
  const { busy, problem, run, clear } = useAction()

  const begun = useMemo(() => (base === undefined ? NEW_PLUGIN : readPlugin(base)), [base])
  const is_changed = JSON.stringify(form) !== JSON.stringify(begun)
  const { draft, problems: typed } = useMemo(() => writePlugin(form, base?.fields), [form, base])
  const set = (part: Partial<PluginForm>) => setForm((before) => ({ ...before, ...part }))

  // What is typed stays: through a reload, the end of the session, another page.
  useEffect(() => {
    if (!is_changed) {
      unsaved.forget(key)
      return undefined
    }
    unsaved.write(key, { form, base })
    const ask = (event: BeforeUnloadEvent) => event.preventDefault()
    addEventListener('beforeunload', ask)
    return () => removeEventListener('beforeunload', ask)
  }, [is_changed, form, base, key])

  // Where nothing was typed, what somebody else has saved is shown at once.
  useEffect(() => {
    if (loaded === undefined || base === undefined || loaded.revision <= base.revision || is_changed) return
    setBase(loaded)
    setForm(readPlugin(loaded))
  }, [loaded, base, is_changed])
  useStudioEvent('draft', () => loaded !== undefined && newest.reload())
  const is_behind =
    loaded !== undefined && base !== undefined && loaded.revision > base.revision && theirs === undefined

  const { findings, problem: unchecked } = useCheck(domain.name, draft)
  const in_code = useMemo(() => findings.filter(({ line }) => line !== null), [findings])
  const problems = useMemo(() => {
    const found: Record<string, string> = {}
    for (const { path, message, line, severity } of findings) {
      if (line !== null || severity !== 'error') continue
      const field = /^domains\[0\]\.plugins\[0\]\.(.+)$/.exec(path)?.[1]
      if (field !== undefined) found[field] ??= message.replace(`${path}: `, '')
    }
    return { ...found, ...(problem?.fields ?? {}), ...typed }
  }, [findings, problem, typed])
  const problemAt = useCallback(
    (path: string) =>
      problems[path] ??
      Object.entries(problems).find(([key]) => key.startsWith(`${path}.`) || key.startsWith(`${path}[`))?.[1],
    [problems],
  )

  async function save(wanted: PluginDraft = draft, over?: Plugin): Promise<Plugin | undefined> {
    let saved: Plugin | undefined
    await run(async () => {
      const [first] = Object.entries(typed)
      if (over === undefined && first !== undefined)
        throw new Problem(422, { title: 'not saved yet: some fields are not right', fields: typed })
      try {
        saved =
          base === undefined
            ? await api.send<Plugin>('POST', `/domains/${domain.id}/plugins`, wanted)
            : await api.send<Plugin>('PUT', `/plugins/${(loaded as Plugin).id}`, {
                ...wanted,
                revision: (over ?? base).revision,
              })
      } catch (error) {
        if (error instanceof Problem && error.status === 409 && isObject(error.current)) {
          setTheirs(error.current as unknown as Plugin)
          return
        }
        throw error
      }
      take(saved)
      if (base === undefined) go(`/plugins/${saved.id}`, { replace: true })
    })
    return saved
  }
  /** Goes on from a version of the plugin. */
  function take(version: Plugin): void {
    unsaved.forget(key)
    setTheirs(undefined)
    setKept(false)
    setBase(version)
    setForm(readPlugin(version))
  }

  const saving = useRef(save)
  saving.current = save
  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      if (event.key.toLowerCase() !== 's' || !(event.ctrlKey || event.metaKey) || event.altKey) return
      event.preventDefault()
      if (may_write && document.querySelector('dialog[open]') === null) saving.current()
    }
    addEventListener('keydown', press)
    return () => removeEventListener('keydown', press)
  }, [may_write])

  const errors = findings.filter(({ severity }) => severity === 'error').length
  const params = useMemo(() => namesIn(form.params), [form.params])
  return (
    <>
      <nav class="crumbs" aria-label="Where this is">
        <Link href={`/?domain=${domain.id}`}>{domain.name}</Link> <span aria-hidden="true">/</span>
      </nav>
      <div class="head">
        <h1>{base?.name ?? 'New plugin'}</h1>
        {may_write && (
          <span class="hint" role="status">
            {busy ? 'Saving…' : is_changed ? 'Not saved' : base === undefined ? '' : 'Saved in the draft'}
          </span>
        )}
        {base !== undefined && may_publish && (
          <button
            type="button"
            class="danger-quiet"
            onClick={() => openKillSwitch({ domain: domain.name, plugin: base.name })}
          >
            Switch off…
          </button>
        )}
        {base !== undefined && may_write && (
          <button type="button" onClick={() => setRemoving(true)}>
            Remove…
          </button>
        )}
        {may_write && (
          <button
            type="button"
            class="primary"
            disabled={busy || (!is_changed && base !== undefined)}
            onClick={() => save()}
          >
            Save
          </button>
        )}
      </div>
      {was_kept && is_changed && (
        <div class="notice" role="status">
          <span>This is what you had typed and not saved.</span>
          <button
            type="button"
            onClick={() => {
              setKept(false)
              setBase(loaded)
              setForm(loaded === undefined ? NEW_PLUGIN : readPlugin(loaded))
            }}
          >
            Drop it
          </button>
        </div>
      )}
      {is_behind && is_changed && (
        <div class="notice" role="status">
          <span>Somebody else has saved this plugin meanwhile. When you save, you see both versions.</span>
        </div>
      )}
      {problem && <Failed problem={problem} again={clear} />}
      {theirs && (
        <Conflict
          theirs={theirs}
          mine={draft}
          base={base}
          busy={busy}
          resolve={(merged) => (merged === undefined ? take(theirs) : save(merged, theirs))}
        />
      )}
      {base !== undefined && may_write && (
        <Steps
          form={form}
          change={set}
          busy={busy}
          save={(part) => save(writePlugin({ ...form, ...part }, base.fields).draft)}
          about={{ domain: domain.name, plugin: form.name, phase: form.phase }}
        />
      )}
      <fieldset class="bare" disabled={!may_write}>
        <div class="grid">
          <TextField
            label="Name"
            value={form.name}
            change={(name) => set({ name })}
            problem={was(problemAt('name'), form.name !== '' || problem !== undefined)}
            maxLength={200}
          />
          <SelectField
            label="Phase"
            value={form.phase}
            options={
              (PHASES as readonly string[]).includes(form.phase)
                ? PHASES.map(twice)
                : [...PHASES, form.phase].map(twice)
            }
            change={(phase) => set({ phase })}
            problem={problemAt('phase')}
          />
        </div>
      </fieldset>
      <div class="under-code">
        <CodeField
          code={form.code}
          phase={form.phase}
          params={params}
          findings={in_code}
          read_only={!may_write}
          change={(code) => set({ code })}
          goto={goto}
        />
        <div class="checked" role="status" aria-live="polite">
          {unchecked !== undefined ? (
            <p class="problem">It could not be checked: {unchecked.message}</p>
          ) : findings.length === 0 ? (
            <p class="fine">✓ The checks find nothing to say.</p>
          ) : (
            <>
              <p class={errors > 0 ? 'problem' : 'hint'}>
                {errors > 0
                  ? `${errors === 1 ? 'An error keeps' : `${errors} errors keep`} this from being published.`
                  : 'Worth a look:'}
              </p>
              <Findings findings={findings} goto={(line) => setGoto({ line })} />
            </>
          )}
        </div>
      </div>
      <fieldset class="bare" disabled={!may_write}>
        <PluginFields form={form} change={set} problemAt={problemAt} />
      </fieldset>
      {may_write && (
        <details class="card" open={trying} onToggle={({ currentTarget }) => setTrying(currentTarget.open)}>
          <summary>
            <h2>Try it, as it is here</h2>
          </summary>
          {trying && (
            <TryForm
              document={{ domains: [{ name: domain.name, plugins: [whole(draft)] }] }}
              host={hostOf(domain.name)}
            />
          )}
        </details>
      )}
      {removing && base && (
        <Confirm
          title={`Remove ${base.name}?`}
          action="Remove"
          danger
          close={() => setRemoving(false)}
          run={async () => {
            await api.send('DELETE', `/plugins/${(loaded as Plugin).id}`, { revision: base.revision })
            unsaved.forget(key)
            say(`${base.name} is removed from the draft`)
            go(`/?domain=${domain.id}`)
          }}
        >
          <p>It goes from the draft. What is live stays until you publish, and earlier versions keep it.</p>
        </Confirm>
      )}
    </>
  )
}

const SEVERITIES = ['error', 'warning', 'note']
const twice = (text: string) => [text, text] as const
const whole = ({ name, phase, fields }: PluginDraft) => ({ name: name || 'unnamed', phase, ...fields })
const was = (problem: string | undefined, shown: boolean) => (shown ? problem : undefined)

/** Checks while somebody types, once they pause. */
function useCheck(domain: string, draft: PluginDraft): { findings: readonly Finding[]; problem: Problem | undefined } {
  const { api } = useStudio()
  const text = useDelayed(JSON.stringify({ document: { domains: [{ name: domain, plugins: [whole(draft)] }] } }), 300)
  const [state, setState] = useState<{ findings: readonly Finding[]; problem: Problem | undefined }>({
    findings: [],
    problem: undefined,
  })
  useEffect(() => {
    const control = new AbortController()
    api.send<{ findings: readonly Finding[] }>('POST', '/check', JSON.parse(text), control.signal).then(
      ({ findings }) => {
        // What is to be said of the domain, and is no error, is said at the review.
        const own = findings
          .filter(({ plugin, severity }) => plugin !== null || severity === 'error')
          .sort((a, b) => SEVERITIES.indexOf(a.severity) - SEVERITIES.indexOf(b.severity))
        if (!control.signal.aborted) setState({ findings: own, problem: undefined })
      },
      (problem) => control.signal.aborted || setState((before) => ({ ...before, problem })),
    )
    return () => control.abort()
  }, [api, text])
  return state
}

/** A host that a domain is for; a guess where its name is an expression. */
function hostOf(domain: string): string {
  if (/^[\w.-]+$/.test(domain)) return domain
  if (/^\*\.[\w.-]+$/.test(domain)) return `www${domain.slice(1)}`
  return 'example.com'
}

function namesIn(params: string): readonly string[] {
  try {
    return Object.keys(JSON.parse(params))
  } catch {
    return []
  }
}
