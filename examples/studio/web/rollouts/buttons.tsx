import { useState } from 'preact/hooks'
import type { Rollout } from '../../shared/rollouts.ts'
import { Confirm } from '../dialog.tsx'
import { useAction } from '../form.tsx'
import { Failed } from '../load.tsx'
import { useMay, useStudio } from '../studio.tsx'

/** Stop, go on, and pause; nothing for those who may not. */
export function RolloutButtons({ of: rollout, done }: { of: Rollout; done(): void }) {
  const { api, live, say, refreshLive } = useStudio()
  const may_publish = useMay('publisher')
  const [asked, setAsked] = useState<'stop' | 'go'>()
  const { busy, problem, run } = useAction()
  const { id, name, state, steps, paused_by } = rollout
  if (!may_publish || state === 'replaced') return null
  const next = nextShare(rollout)
  const act = async (what: 'stop' | 'go') => {
    const { version } = await api.send<{ version: number }>('POST', `/rollouts/${id}/${what}`)
    say(what === 'stop' ? `${name} is stopped: version ${version}` : `${name} is at ${next} %: version ${version}`)
    refreshLive()
    done()
  }
  const pause = () =>
    run(async () => {
      await api.send('POST', `/rollouts/${id}/pause`, { on: paused_by === null })
      done()
    })
  return (
    <>
      {state === 'running' && steps !== null && next !== undefined && (
        <button type="button" disabled={busy} onClick={pause}>
          {paused_by === null ? 'Pause' : 'Resume'}
        </button>
      )}
      {next !== undefined && !live?.two_persons && (
        <button type="button" class="primary" onClick={() => setAsked('go')}>
          Go to {next} %
        </button>
      )}
      {state === 'running' && (
        <button type="button" class="danger" onClick={() => setAsked('stop')}>
          Stop
        </button>
      )}
      {problem && <Failed problem={problem} />}
      {asked === 'stop' && (
        <Confirm
          title={`Stop the rollout of ${name}?`}
          action="Stop"
          danger
          close={() => setAsked(undefined)}
          run={() => act('stop')}
        >
          <p>It runs for no request within moments, in all processes. Nothing else is published.</p>
        </Confirm>
      )}
      {asked === 'go' && (
        <Confirm
          title={`${name} for ${next} % of the requests?`}
          action={`Go to ${next} %`}
          close={() => setAsked(undefined)}
          run={() => act('go')}
        >
          <p>This is published at once, whatever the processes report. Its limits apply as before.</p>
        </Confirm>
      )}
    </>
  )
}

/** What the button goes to; undefined at the end. */
function nextShare({ state, steps, step, percent }: Rollout): number | undefined {
  if (steps === null) return percent < 100 ? 100 : undefined
  return steps[state === 'stopped' || step === null ? 0 : step + 1]?.percent
}
