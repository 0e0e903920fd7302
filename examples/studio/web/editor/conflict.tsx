import { useState } from 'preact/hooks'
import type { Plugin } from '../../shared/changes.ts'
import { MergeField } from './code-field.tsx'
import type { PluginDraft } from './plugin-form.ts'

type Side = 'mine' | 'theirs'

/** Somebody else has saved the plugin meanwhile: their version beside yours, field by field. */
export function Conflict({
  theirs,
  mine,
  base,
  resolve,
  busy,
  is_live = false,
}: {
  theirs: Pick<Plugin, 'name' | 'phase' | 'fields'>
  mine: PluginDraft
  /** What both began with. */
  base: Pick<Plugin, 'name' | 'phase' | 'fields'> | undefined
  /** Told what is to be saved, over theirs; undefined: theirs is taken as it is. */
  resolve(merged: PluginDraft | undefined): void
  busy: boolean
  /** Whether theirs is what went live, rather than what someone has saved. */
  is_live?: boolean
}) {
  const [yours, others, before] = [flatten(mine), flatten(theirs), base && flatten(base)]
  const keys = [...new Set([...Object.keys(others), ...Object.keys(yours)])].filter(
    (key) => write(yours[key]) !== write(others[key]),
  )
  // What only one of the two has changed is not in dispute.
  const likely = (key: string): Side =>
    before !== undefined && write(before[key]) === write(yours[key]) ? 'theirs' : 'mine'
  const [sides, setSides] = useState<Record<string, Side>>(() =>
    Object.fromEntries(keys.map((key) => [key, likely(key)])),
  )
  const [code, setCode] = useState(() => String((likely('code') === 'theirs' ? others.code : yours.code) ?? ''))
  const of_code = keys.includes('code')
  const rest = keys.filter((key) => key !== 'code')

  function merge(): PluginDraft {
    const merged: Record<string, unknown> = { ...others }
    for (const key of rest) {
      const from = (sides[key] ?? 'mine') === 'mine' ? yours : others
      if (from[key] === undefined) delete merged[key]
      else merged[key] = from[key]
    }
    if (of_code) merged.code = code
    const { name, phase, ...fields } = merged
    return { name: String(name), phase: String(phase), fields }
  }

  return (
    <section class="conflict card" aria-label="Two versions">
      <h2>
        {is_live
          ? 'What went live conflicts with this change set'
          : 'Someone else saved this plugin while you were editing it'}
      </h2>
      {keys.length === 0 ? (
        <p>Both versions are the same.</p>
      ) : (
        <p>
          Both versions are kept until you decide. Choose one for each field, and edit the code on the right into what
          should be saved.
        </p>
      )}
      {rest.length > 0 && (
        <table>
          <thead>
            <tr>
              <th scope="col">Field</th>
              <th scope="col">{is_live ? 'Live' : 'Theirs'}</th>
              <th scope="col">{is_live ? 'This change set' : 'Yours'}</th>
            </tr>
          </thead>
          <tbody>
            {rest.map((key) => (
              <tr key={key}>
                <th scope="row">{key}</th>
                {(['theirs', 'mine'] as const).map((side) => (
                  <td key={side}>
                    <label>
                      <input
                        type="radio"
                        name={`conflict-${key}`}
                        checked={(sides[key] ?? 'mine') === side}
                        onChange={() => setSides({ ...sides, [key]: side })}
                      />{' '}
                      <code>{write((side === 'mine' ? yours : others)[key])}</code>
                    </label>
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {of_code && (
        <>
          <div class="sides">
            <b>{is_live ? 'Live' : 'Theirs'}</b>
            <b>{is_live ? 'This change set (this will be saved)' : 'Yours (this will be saved)'}</b>
          </div>
          <MergeField theirs={String(others.code ?? '')} mine={code} change={setCode} />
        </>
      )}
      <footer>
        <button type="button" disabled={busy} onClick={() => resolve(undefined)}>
          {is_live ? 'Use what is live, discard this change' : 'Use theirs, discard mine'}
        </button>
        <button type="button" disabled={busy} onClick={() => resolve(mine)}>
          {is_live ? 'Keep all of this change set' : 'Save mine over theirs'}
        </button>
        <button type="button" class="primary" disabled={busy} onClick={() => resolve(merge())}>
          Save the chosen fields
        </button>
      </footer>
    </section>
  )
}

function flatten({ name, phase, fields }: Pick<Plugin, 'name' | 'phase' | 'fields'>): Record<string, unknown> {
  return { name, phase, ...fields }
}

function write(value: unknown): string {
  return value === undefined || value === null ? '—' : typeof value === 'string' ? value : JSON.stringify(value)
}
