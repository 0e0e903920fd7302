import { useState } from 'preact/hooks'
import type { Plugin } from '../../shared/draft.ts'
import type { LivePlugin } from '../../shared/live.ts'
import type { Draft } from '../../shared/review.ts'
import { Dialog } from '../dialog.tsx'
import { useAction } from '../form.tsx'
import { Failed } from '../load.tsx'
import { Differences } from '../parts/differences.tsx'
import { Findings } from '../parts/findings.tsx'
import { describePublished, type Published } from '../parts/published.ts'
import { usePlace } from '../router.tsx'
import { useMay, useStudio } from '../studio.tsx'
import { describeStep, stepOf, useLivePlugin } from './live-state.ts'
import type { PluginForm } from './plugin-form.ts'

const STEPS = [
  ['shadow', 'Shadow'],
  ['1', '1 %'],
  ['10', '10 %'],
  ['50', '50 %'],
  ['100', '100 %'],
] as const

/** Of errors, as many as are shown; the page Review has all of them. */
const MOST_ERRORS = 5

/** From shadow to everybody, a button a step: each is saved, and published once it was looked at. */
export function Steps({
  form,
  save,
  change,
  busy,
  about,
}: {
  form: PluginForm
  busy: boolean
  save(part: Partial<PluginForm>): Promise<Plugin | undefined>
  change(part: Partial<PluginForm>): void
  about: { domain: string; plugin: string; phase: string }
}) {
  const may_publish = useMay('publisher')
  const [step, setStep] = useState<string>()
  const live = useLivePlugin(about)
  const drafted = form.mode === 'shadow' ? 'shadow' : form.percent === '' ? '100' : form.percent
  const now = live?.enabled ? stepOf(live) : undefined
  return (
    <>
      <fieldset class="steps" disabled={busy}>
        <legend>Rollout</legend>
        {STEPS.filter(([value]) => form.variants.length === 0 || value === 'shadow' || value === '100').map(
          ([value, name]) => (
            <button
              key={value}
              type="button"
              aria-pressed={now === value}
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
                if (saved !== undefined && may_publish) setStep(name)
              }}
            >
              {name}
            </button>
          ),
        )}
      </fieldset>
      <LiveState live={live} drafted={drafted} />
      {step !== undefined && <PublishStep step={step} about={about} close={() => setStep(undefined)} />}
    </>
  )
}

/** What is live of it, in words; the draft, where that has something else. */
function LiveState({ live, drafted }: { live: LivePlugin | null | undefined; drafted: string }) {
  const { live: whole } = useStudio()
  if (live === undefined) return null
  const draft = live === null || stepOf(live) === drafted ? '' : ` In the draft: ${describeStep(drafted)}.`
  return (
    <p class="hint live-state" role="status">
      {live === null ? (
        'Not live: this plugin has not been published yet.'
      ) : (
        <>
          Live in version {whole?.version}: {live.enabled ? describeStep(stepOf(live)) : 'switched off'}.{draft}
        </>
      )}
    </p>
  )
}

function PublishStep({
  step,
  about,
  close,
}: {
  step: string
  about: { domain: string; plugin: string; phase: string }
  close(): void
}) {
  const { api, say, live, refreshLive } = useStudio()
  const verb = live?.two_persons ? 'Propose' : 'Publish'
  const { go } = usePlace()
  const [draft, setDraft] = useState<Draft>()
  const { busy, problem, run } = useAction()
  const [asked, setAsked] = useState(false)
  if (!asked) {
    setAsked(true)
    run(async () => setDraft(await api.get<Draft>('/draft')))
  }
  const message = `${about.plugin}: ${step}`
  const others = draft?.differences.filter(
    ({ domain, plugin, phase }) =>
      domain !== about.domain ||
      phase !== about.phase ||
      // A variant is called after its plugin.
      (plugin !== about.plugin && !plugin?.startsWith(`${about.plugin}/`)),
  )
  const errors = draft?.findings.filter(({ severity }) => severity === 'error') ?? []
  const is_alone =
    draft?.differences_total === draft?.differences.length &&
    others?.every(({ kind, domain, plugin }) => kind === 'added' && domain === about.domain && plugin === null)
  return (
    <Dialog title={`${verb} ${about.plugin} at ${step}?`} close={close}>
      {draft === undefined && problem === undefined && <p role="status">Comparing…</p>}
      {errors.length > 0 && (
        <>
          <p class="notice failed">The draft has errors. Fix them before you publish.</p>
          <Findings findings={errors.slice(0, MOST_ERRORS)} />
        </>
      )}
      {draft && errors.length === 0 && draft.differences.length === 0 && <p>This is live already.</p>}
      {draft && errors.length === 0 && others !== undefined && !is_alone && (
        <p class="notice">The draft has other changes too. Review all of them before you publish.</p>
      )}
      {draft && <Differences differences={draft.differences} />}
      {problem && <Failed problem={problem} />}
      <footer>
        <button type="button" onClick={close}>
          Later
        </button>
        <button type="button" onClick={() => go(`/review?message=${encodeURIComponent(message)}`)}>
          Review
        </button>
        {is_alone && errors.length === 0 && draft && draft.differences.length > 0 && (
          <button
            type="button"
            class="primary"
            disabled={busy}
            onClick={async () => {
              const done = await run(async () => {
                const published = await api.send<Published>('POST', '/versions', {
                  message,
                  base: draft.base,
                  draft: draft.draft,
                })
                say(describePublished(published))
                refreshLive()
              })
              if (done) close()
            }}
          >
            {verb}
          </button>
        )}
      </footer>
    </Dialog>
  )
}
