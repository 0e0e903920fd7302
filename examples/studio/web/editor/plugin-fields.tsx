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
      <section class="card" aria-label="How it runs">
        <h2>How it runs</h2>
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
            hint="Shadow: it only tells what it would do."
            value={form.mode}
            options={[
              ['live', 'live'],
              ['shadow', 'shadow'],
            ]}
            change={set('mode')}
            problem={problemAt('mode')}
          />
          <SelectField
            label="If it fails"
            value={form.on_failure}
            options={[
              ['open', 'the request goes on (open)'],
              ['closed', 'the request gets 503 (closed)'],
            ]}
            change={set('on_failure')}
            problem={problemAt('on_failure')}
          />
          <TextField
            label="Priority"
            hint="Higher runs first; 0 if empty."
            inputMode="decimal"
            value={form.priority}
            change={set('priority')}
            problem={problemAt('priority')}
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
                The shadow may use {name}
              </label>
            ))}
          </div>
        )}
        <AreaField
          label="Parameters"
          hint={
            <>
              JSON; the code finds it as <code>params</code>.
            </>
          }
          rows={form.params === '' ? 2 : Math.min(12, form.params.split('\n').length + 1)}
          value={form.params}
          change={set('params')}
          problem={problemAt('params')}
        />
      </section>
      <section class="card" aria-label="A share of the traffic">
        <h2>A share of the traffic, and when</h2>
        <div class="grid">
          <TextField
            label="Percent"
            hint={form.variants.length > 0 ? 'Each variant has its own.' : 'All, if empty.'}
            inputMode="decimal"
            value={form.percent}
            change={set('percent')}
            problem={problemAt('rollout.percent')}
          />
          <SelectField
            label="Counted by"
            value={form.by}
            options={[
              ['ip', 'address'],
              ['header', 'header'],
              ['cookie', 'cookie'],
              ['query', 'query parameter'],
              ['random', 'chance'],
            ]}
            change={set('by')}
          />
          {form.by !== 'ip' && form.by !== 'random' && (
            <TextField
              label={`Which ${form.by}`}
              value={form.by_name}
              change={set('by_name')}
              problem={problemAt('rollout.by')}
            />
          )}
          <TextField
            label="Starts at"
            hint="In your time zone."
            type="datetime-local"
            value={form.starts_at}
            change={set('starts_at')}
            problem={problemAt('starts_at')}
          />
          <TextField
            label="Expires at"
            hint="In your time zone."
            type="datetime-local"
            value={form.expires_at}
            change={set('expires_at')}
            problem={problemAt('expires_at')}
          />
        </div>
      </section>
      <details class="card" open={has_when || has_not}>
        <summary>
          <h2>For which requests</h2>
        </summary>
        <p class="hint">All that is filled in has to hold. Nothing filled in: every request of the domain.</p>
        <ConditionFields value={form.when} change={set('when')} problemAt={(path) => problemAt(`when.${path}`)} />
        <details open={has_not}>
          <summary>
            <h3>But not if</h3>
          </summary>
          <ConditionFields value={form.not} change={set('not')} problemAt={(path) => problemAt(`when.not.${path}`)} />
        </details>
      </details>
      <details
        class="card"
        open={form.guard !== '' || form.budget_ms !== '' || form.timeout_ms !== '' || form.other !== ''}
      >
        <summary>
          <h2>Bounds, and fields of the document</h2>
        </summary>
        <div class="grid">
          <SelectField
            label="Guard"
            value={form.guard}
            options={[
              ['', 'as the app says'],
              ['on', 'on'],
              ['strict', 'strict'],
              ['off', 'off'],
            ]}
            change={set('guard')}
            problem={problemAt('guard')}
          />
          <TextField
            label="Budget in ms"
            hint="At a stretch."
            inputMode="decimal"
            value={form.budget_ms}
            change={set('budget_ms')}
            problem={problemAt('budget_ms')}
          />
          <TextField
            label="Timeout in ms"
            hint="In all."
            inputMode="decimal"
            value={form.timeout_ms}
            change={set('timeout_ms')}
            problem={problemAt('timeout_ms')}
          />
        </div>
        <AreaField
          label="Other fields"
          hint={<>JSON; what has no place above.</>}
          rows={form.other === '' ? 2 : Math.min(16, form.other.split('\n').length + 1)}
          value={form.other}
          change={set('other')}
          problem={problemAt('other')}
        />
      </details>
    </>
  )
}
