import type { Plugin } from '../../shared/changes.ts'
import { describeMode, modeOf } from '../changes/words.ts'
import { Ago } from '../parts/time.tsx'
import { useStudio } from '../studio.tsx'

/** What is live of a plugin, and what the change set makes of it. */
export function LiveState({ plugin: { live, change, fields, others } }: { plugin: Plugin }) {
  const { set, workIn } = useStudio()
  return (
    <>
      <dl class="live-state" aria-label="Live and change set">
        <div>
          <dt>Live</dt>
          <dd>
            {live === null ? (
              'not published'
            ) : (
              <>
                <b class={live.enabled ? undefined : 'problem'}>{describeMode(live)}</b>
                {live.version !== null && live.at !== null && (
                  <>
                    , since version {live.version}, <Ago at={live.at} /> by {live.by}
                  </>
                )}
              </>
            )}
          </dd>
        </div>
        {set !== undefined && (
          <div>
            <dt>This change set</dt>
            <dd>
              {change === null ? (
                'no changes'
              ) : change === 'removed' ? (
                <b class="problem">removes it</b>
              ) : (
                <>
                  {change === 'added' ? 'adds it' : 'changes it'}: <b>{describeMode(modeOf(fields))}</b>
                </>
              )}
            </dd>
          </div>
        )}
      </dl>
      {others.length > 0 && (
        <div class="notice">
          <span>
            {others.length === 1 ? 'Another open change set changes' : 'Other open change sets change'} it, too:
          </span>
          {others.map(({ id, name, created_by }) => (
            <button key={id} type="button" class="small" onClick={() => workIn(id)}>
              {name} · {created_by}
            </button>
          ))}
        </div>
      )}
    </>
  )
}
