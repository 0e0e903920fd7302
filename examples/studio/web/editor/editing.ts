import { useEffect, useMemo, useRef, useState } from 'preact/hooks'
import type { Plugin } from '../../shared/changes.ts'
import { Problem, query } from '../api.ts'
import { useEdits } from '../changes/use-edits.ts'
import { pluginPath } from '../changes/words.ts'
import { useAction } from '../form.tsx'
import { usePlace } from '../router.tsx'
import { useMay, useStudio, useStudioEvent } from '../studio.tsx'
import { isObject } from './condition-form.ts'
import { NEW_PLUGIN, type PluginDraft, type PluginForm, readPlugin, writePlugin } from './plugin-form.ts'
import { unsaved } from './unsaved.ts'

/** What somebody works from: the plugin as they last had it from the studio. */
export type Base = Pick<Plugin, 'name' | 'phase' | 'fields' | 'revision'>
/** The same as someone else has saved or published it. */
export type Theirs = Base

/**
 * The state of a plugin that is being changed: what is typed, what it began with, and what others made of it meanwhile.
 *
 * @param loaded the plugin as it is now; undefined: it is a new one
 * @param reload loads it anew
 */
export function useEditing(domain: string, loaded: Plugin | undefined, reload: () => void) {
  const { api } = useStudio()
  const edit = useEdits()
  const { go } = usePlace()
  const may_write = useMay('author')
  const key = loaded === undefined ? `new plugin ${domain}` : `plugin ${loaded.set} ${pluginPath(loaded)}`
  const kept = useMemo(() => (may_write ? unsaved.read(key) : undefined), [key, may_write])
  const [base, setBase] = useState<Base | undefined>(kept === undefined ? loaded : kept.base)
  const [form, setForm] = useState<PluginForm>(
    () => (kept && { ...NEW_PLUGIN, ...kept.form }) ?? (loaded === undefined ? NEW_PLUGIN : readPlugin(loaded)),
  )
  const [was_kept, setKept] = useState(kept !== undefined)
  const [theirs, setTheirs] = useState<Theirs>()
  /** What was loaded before the last saving: it is no news. */
  const [older, setOlder] = useState<Plugin>()
  const { busy, problem, run, clear } = useAction()

  const begun = useMemo(() => (base === undefined ? NEW_PLUGIN : readPlugin(base)), [base])
  const is_changed = JSON.stringify(form) !== JSON.stringify(begun)
  const { draft, problems } = useMemo(() => writePlugin(form, base?.fields), [form, base])

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
    if (loaded === undefined || base === undefined || loaded.revision === base.revision || is_changed) return
    setBase(loaded)
    setForm(readPlugin(loaded))
    // Not when the base becomes another one by saving: what is loaded is older then, for a moment.
  }, [loaded])
  const look = () => {
    if (loaded !== undefined) reload()
  }
  useStudioEvent('change', look, 100)
  useStudioEvent('version', look, 100)

  /** Goes on from a version of the plugin; from none: from an empty one. */
  function take(version: Base | undefined): void {
    unsaved.forget(key)
    setTheirs(undefined)
    setKept(false)
    setBase(version)
    setForm(version === undefined ? NEW_PLUGIN : readPlugin(version))
  }

  /**
   * @param over what somebody else has saved, where it is meant to be written over
   * @returns what was saved; undefined: it was not
   */
  async function save(
    wanted: PluginDraft = draft,
    { over, resolve = false }: { over?: Theirs; resolve?: boolean } = {},
  ): Promise<Plugin | undefined> {
    let saved: Plugin | undefined
    await run(async () => {
      if (over === undefined && Object.keys(problems).length > 0)
        throw new Problem(422, { title: 'not saved: some fields are not valid', fields: problems })
      try {
        const changed =
          base === undefined || loaded === undefined
            ? await edit('POST', 'plugins', { domain, ...wanted })
            : await edit('PUT', 'plugins', {
                key: { domain, name: loaded.name, phase: loaded.phase },
                plugin: wanted,
                revision: (over ?? base).revision,
                resolve,
              })
        const { name, phase } = wanted
        saved = await api.get<Plugin>(`/plugin${query({ domain, name, phase, set: changed })}`)
      } catch (error) {
        if (!(error instanceof Problem) || error.status !== 409 || !isObject(error.current)) throw error
        setTheirs(error.current as unknown as Theirs)
        return
      }
      take(saved)
      setOlder(loaded)
      const is_elsewhere = loaded === undefined || loaded.name !== saved.name || loaded.phase !== saved.phase
      if (is_elsewhere) go(pluginPath(saved), { replace: true })
      else reload()
    })
    return saved
  }

  useSaveKey(() => may_write && save())
  return {
    base,
    form,
    draft,
    busy,
    problem,
    clear,
    save,
    take,
    is_changed,
    /** What is wrong with what was typed, by field, before the studio was asked. */
    typed: problems,
    set: (part: Partial<PluginForm>) => setForm((before) => ({ ...before, ...part })),
    /** Forgets what was typed before the page was left. */
    drop: was_kept && is_changed ? () => take(loaded) : undefined,
    forget: () => unsaved.forget(key),
    /** Somebody else's version, where one of the two has to be chosen. */
    theirs,
    is_behind:
      loaded !== undefined &&
      loaded !== older &&
      base !== undefined &&
      loaded.revision !== base.revision &&
      theirs === undefined &&
      is_changed,
  }
}

export type Editing = ReturnType<typeof useEditing>

/** Ctrl S or ⌘ S. */
function useSaveKey(save: () => unknown): void {
  const newest = useRef(save)
  newest.current = save
  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      if (event.key.toLowerCase() !== 's' || !(event.ctrlKey || event.metaKey) || event.altKey) return
      event.preventDefault()
      if (document.querySelector('dialog[open]') === null) newest.current()
    }
    addEventListener('keydown', press)
    return () => removeEventListener('keydown', press)
  }, [])
}
