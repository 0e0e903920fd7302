import { useEffect, useMemo, useRef, useState } from 'preact/hooks'
import type { Domain, Plugin } from '../../shared/draft.ts'
import { Problem } from '../api.ts'
import { useAction } from '../form.tsx'
import { usePlace } from '../router.tsx'
import { useMay, useStudio, useStudioEvent } from '../studio.tsx'
import { isObject } from './condition-form.ts'
import { NEW_PLUGIN, type PluginDraft, type PluginForm, readPlugin, writePlugin } from './plugin-form.ts'
import { unsaved } from './unsaved.ts'

/** What somebody works from: the plugin as they last had it from the studio. */
export type Base = Pick<Plugin, 'name' | 'phase' | 'fields' | 'revision'>

/**
 * The state of a plugin that is being changed: what is typed, what it began with, and what others made of it meanwhile.
 *
 * @param loaded the plugin as it is now; undefined: it is a new one
 * @param reload loads it anew
 */
export function useEditing(domain: Domain, loaded: Plugin | undefined, reload: () => void) {
  const { api } = useStudio()
  const { go } = usePlace()
  const may_write = useMay('author')
  const key = loaded === undefined ? `new plugin ${domain.id}` : `plugin ${loaded.id}`
  const kept = useMemo(() => (may_write ? unsaved.read(key) : undefined), [key, may_write])
  const [base, setBase] = useState<Base | undefined>(kept === undefined ? loaded : kept.base)
  const [form, setForm] = useState<PluginForm>(
    () => kept?.form ?? (loaded === undefined ? NEW_PLUGIN : readPlugin(loaded)),
  )
  const [was_kept, setKept] = useState(kept !== undefined)
  const [theirs, setTheirs] = useState<Plugin>()
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
    if (loaded === undefined || base === undefined || loaded.revision <= base.revision || is_changed) return
    setBase(loaded)
    setForm(readPlugin(loaded))
  }, [loaded, base, is_changed])
  useStudioEvent('draft', () => loaded !== undefined && reload())

  /** Goes on from a version of the plugin; from none: from an empty one. */
  function take(version: Plugin | undefined): void {
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
  async function save(wanted: PluginDraft = draft, over?: Plugin): Promise<Plugin | undefined> {
    let saved: Plugin | undefined
    await run(async () => {
      if (over === undefined && Object.keys(problems).length > 0)
        throw new Problem(422, { title: 'not saved: some fields are not valid', fields: problems })
      try {
        saved =
          base === undefined
            ? await api.send<Plugin>('POST', `/domains/${domain.id}/plugins`, wanted)
            : await api.send<Plugin>('PUT', `/plugins/${(loaded as Plugin).id}`, {
                ...wanted,
                revision: (over ?? base).revision,
              })
      } catch (error) {
        if (!(error instanceof Problem) || error.status !== 409 || !isObject(error.current)) throw error
        setTheirs(error.current as unknown as Plugin)
        return
      }
      take(saved)
      if (base === undefined) go(`/plugins/${saved.id}`, { replace: true })
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
      base !== undefined &&
      loaded.revision > base.revision &&
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
