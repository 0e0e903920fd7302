import { useState } from 'preact/hooks'
import type { Plugin } from '../../shared/changes.ts'
import { query } from '../api.ts'
import { PublishDialog } from '../changes/publish-dialog.tsx'
import { modeOf } from '../changes/words.ts'
import { Link } from '../router.tsx'
import { useMay } from '../studio.tsx'
import { isObject } from './condition-form.ts'
import type { PluginForm } from './plugin-form.ts'

const STEPS = [
  ['shadow', 'Shadow'],
  ['1', '1 %'],
  ['10', '10 %'],
  ['50', '50 %'],
  ['100', '100 %'],
] as const

/** From shadow to everyone, a button a step: each is saved, and published once it was looked at. */
export function Steps({
  form,
  save,
  change,
  busy,
  plugin,
}: {
  form: PluginForm
  busy: boolean
  save(part: Partial<PluginForm>): Promise<Plugin | undefined>
  change(part: Partial<PluginForm>): void
  plugin: Plugin
}) {
  const may_propose = useMay('author')
  const [asked, setAsked] = useState<{ step: string; saved: Plugin }>()
  const now = plugin.live?.enabled ? stepOf(plugin.live) : undefined
  const next = plugin.change === null ? now : stepOf(modeOf(plugin.fields))
  // What the form has no place for, such as steps by schedule, is not for these buttons to write over.
  if (isBySchedule(plugin.fields))
    return (
      <p class="hint">
        Its rollout has steps or a guard. Change it in <em>Limits and raw JSON</em>.{' '}
        {plugin.live !== null && (
          <Link href={`/rollouts/plugin${query({ domain: plugin.domain, plugin: plugin.name, phase: plugin.phase })}`}>
            See how it goes
          </Link>
        )}
      </p>
    )
  return (
    <>
      <fieldset class="steps" disabled={busy}>
        <legend>Rollout</legend>
        {STEPS.filter(([value]) => form.variants.length === 0 || value === 'shadow' || value === '100').map(
          ([value, name]) => (
            <button
              key={value}
              type="button"
              // What is live; what the change set makes of it has a mark.
              aria-pressed={now === value}
              class={next === value && now !== value ? 'next' : undefined}
              onClick={async () => {
                const part: Partial<PluginForm> =
                  value === 'shadow'
                    ? { mode: 'shadow' }
                    : {
                        mode: 'live',
                        percent: value === '100' && (form.by === 'ip' || form.variants.length > 0) ? '' : value,
                      }
                change(part)
                const saved = await save(part)
                if (saved !== undefined && may_propose) setAsked({ step: name, saved })
              }}
            >
              {name}
              {next === value && now !== value && <span class="visually-hidden"> in this change set</span>}
            </button>
          ),
        )}
      </fieldset>
      {asked !== undefined && asked.saved.set !== null && (
        <PublishDialog
          set={asked.saved.set}
          plugin={asked.saved}
          given={`${asked.saved.name}: ${asked.step}`}
          close={() => setAsked(undefined)}
        />
      )}
    </>
  )
}

/** Whether its rollout says more than these steps do. */
function isBySchedule({ rollout }: Plugin['fields']): boolean {
  return isObject(rollout) && Object.keys(rollout).some((key) => key !== 'percent' && key !== 'by')
}

/** Which step of the way from shadow to everyone it is at. */
function stepOf({ mode, percent }: { readonly mode: string; readonly percent: number | null }): string {
  return mode === 'shadow' ? 'shadow' : String(percent ?? 100)
}
