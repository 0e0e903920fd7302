import { AreaField, SelectField, TextField } from '../form.tsx'
import { ConditionFields } from './condition-fields.tsx'
import { NO_CONDITION } from './condition-form.ts'
import type { PluginForm } from './plugin-form.ts'

/** Everything about a plugin beside its name, phase and code. */
export function PluginFields({
  form,
  change,
  problemAt,
}: {
  form: PluginForm
  change(part: Partial<PluginForm>): void
  problemAt(path: string): string | undefined
}) {
  const set =
    <K extends keyof PluginForm>(key: K) =>
    (value: PluginForm[K]) =>
      change({ [key]: value } as Partial<PluginForm>)
  const has_when = JSON.stringify(form.when) !== JSON.stringify(NO_CONDITION)
  const has_not = JSON.stringify(form.not) !== JSON.stringify(NO_CONDITION)
  return (
    <>
      <section class="card" aria-label="Settings">
        <h2>Settings</h2>
        <div class="grid">
          <label class="check">
            <input
              type="checkbox"
              checked={form.enabled}
              onChange={({ currentTarget }) => change({ enabled: currentTarget.checked })}
            />
            Enabled
          </label>
          <SelectField
            label="Mode"
            hint="In shadow mode the plugin changes nothing; it reports what it would do."
            value={form.mode}
            options={[
              ['live', 'live'],
              ['shadow', 'shadow'],
            ]}
            change={set('mode')}
            problem={problemAt('mode')}
          />
          <SelectField
            label="On failure"
            value={form.on_failure}
            options={[
              ['open', 'open: the request continues'],
              ['closed', 'closed: the request gets 503'],
            ]}
            change={set('on_failure')}
            problem={problemAt('on_failure')}
          />
          <TextField
            label="Priority"
            hint="Higher runs first. Default: 0."
            inputMode="decimal"
            value={form.priority}
            change={set('priority')}
            problem={problemAt('priority')}
          />
          <TextField label="Owner" hint="Who answers for it." value={form.owner} change={set('owner')} />
          <TextField
            label="Runbook"
            hint="A link: what to do when it fails."
            inputMode="url"
            value={form.runbook}
            change={set('runbook')}
          />
        </div>
        {form.mode === 'shadow' && (
          <div class="adders">
            {(['fetch', 'store'] as const).map((name) => (
              <label class="check" key={name}>
                <input
                  type="checkbox"
                  checked={form.shadow_allows.includes(name)}
                  onChange={({ currentTarget }) => {
                    const rest = form.shadow_allows.filter((each) => each !== name)
                    change({ shadow_allows: currentTarget.checked ? [...rest, name] : rest })
                  }}
                />
                Allowed in shadow mode {name}
              </label>
            ))}
          </div>
        )}
        <AreaField
          label="Parameters"
          hint={
            <>
              JSON. The code reads it as <code>params</code>.
            </>
          }
          rows={form.params === '' ? 2 : Math.min(12, form.params.split('\n').length + 1)}
          value={form.params}
          change={set('params')}
          problem={problemAt('params')}
        />
      </section>
      <section class="card" aria-label="Rollout">
        <h2>Rollout and schedule</h2>
        <div class="grid">
          <TextField
            label="Percent"
            hint={form.variants.length > 0 ? 'Set for each variant.' : 'Default: 100.'}
            inputMode="decimal"
            value={form.percent}
            change={set('percent')}
            problem={problemAt('rollout.percent')}
          />
          <SelectField
            label="Sticky by"
            value={form.by}
            options={[
              ['ip', 'client IP'],
              ['header', 'header'],
              ['cookie', 'cookie'],
              ['query', 'query parameter'],
              ['random', 'nothing (random)'],
            ]}
            change={set('by')}
          />
          {form.by !== 'ip' && form.by !== 'random' && (
            <TextField
              label={`Name of the ${form.by === 'query' ? 'query parameter' : form.by}`}
              value={form.by_name}
              change={set('by_name')}
              problem={problemAt('rollout.by')}
            />
          )}
          <TextField
            label="Starts at"
            hint="Your time zone."
            type="datetime-local"
            value={form.starts_at}
            change={set('starts_at')}
            problem={problemAt('starts_at')}
          />
          <TextField
            label="Expires at"
            hint={isPast(form.expires_at) ? 'This time is past: the plugin no longer runs.' : 'Your time zone.'}
            type="datetime-local"
            value={form.expires_at}
            change={set('expires_at')}
            problem={problemAt('expires_at')}
          />
        </div>
      </section>
      <details class="card" open={has_when || has_not}>
        <summary>
          <h2>Matches</h2>
        </summary>
        <p class="hint">
          A request has to meet every condition. With none, the plugin runs for every request of the domain.
        </p>
        <ConditionFields value={form.when} change={set('when')} problemAt={(path) => problemAt(`when.${path}`)} />
        <details open={has_not}>
          <summary>
            <h3>Excludes</h3>
          </summary>
          <ConditionFields value={form.not} change={set('not')} problemAt={(path) => problemAt(`when.not.${path}`)} />
        </details>
      </details>
      <details
        class="card"
        open={form.guard !== '' || form.budget_ms !== '' || form.timeout_ms !== '' || form.other !== ''}
      >
        <summary>
          <h2>Limits and raw JSON</h2>
        </summary>
        <div class="grid">
          <SelectField
            label="Guard"
            value={form.guard}
            options={[
              ['', 'default of the app'],
              ['on', 'on'],
              ['strict', 'strict'],
              ['off', 'off'],
            ]}
            change={set('guard')}
            problem={problemAt('guard')}
          />
          <TextField
            label="Time budget (ms)"
            hint="For one stretch of synchronous code."
            inputMode="decimal"
            value={form.budget_ms}
            change={set('budget_ms')}
            problem={problemAt('budget_ms')}
          />
          <TextField
            label="Timeout (ms)"
            hint="For the whole run, waiting included."
            inputMode="decimal"
            value={form.timeout_ms}
            change={set('timeout_ms')}
            problem={problemAt('timeout_ms')}
          />
        </div>
        <AreaField
          label="Other fields"
          hint={<>JSON, for fields that are not shown above.</>}
          rows={form.other === '' ? 2 : Math.min(16, form.other.split('\n').length + 1)}
          value={form.other}
          change={set('other')}
          problem={problemAt('other')}
        />
      </details>
    </>
  )
}

function isPast(time: string): boolean {
  return time !== '' && Date.parse(time) < Date.now()
}
