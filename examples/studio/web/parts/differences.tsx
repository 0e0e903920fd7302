import { diffLines } from 'diff'
import { useMemo, useState } from 'preact/hooks'
import type { Difference } from '../../shared/review.ts'
import { query } from '../api.ts'
import { Failed, Loading, usePages } from '../load.tsx'
import { Scrolled } from './scrolled.tsx'

/** As many as are shown before somebody asks for more. */
const AT_FIRST = 50

/**
 * What is different between two documents.
 *
 * @param more loads what there is beyond those that are given; undefined: that is all
 */
export function Differences({
  differences,
  more,
}: {
  differences: readonly Difference[]
  more?: (() => void) | undefined
}) {
  const [shown, setShown] = useState(AT_FIRST)
  return (
    <>
      <ul class="differences">
        {differences.slice(0, shown).map((difference) => {
          const { kind, domain, plugin, phase, changes, code } = difference
          return (
            <li key={`${kind} ${domain} ${plugin} ${phase} ${changes.join()}`} class={kind}>
              <p>
                <span class={`badge ${kind}`}>{kind}</span>{' '}
                {plugin === null ? (
                  <b>{domain ?? 'the document'}</b>
                ) : (
                  <>
                    <b>{plugin}</b> <small>{domain}</small>
                  </>
                )}{' '}
                {phase !== null && <span class="phase">{phase}</span>}
              </p>
              {changes.length > 0 && (
                <ul>
                  {changes.map((change) => (
                    <li key={change}>
                      <code>{change}</code>
                    </li>
                  ))}
                </ul>
              )}
              {code !== null && <CodeDifference before={code.before} after={code.after} />}
            </li>
          )
        })}
      </ul>
      {(differences.length > shown || more) && (
        <button
          type="button"
          class="more"
          onClick={() => {
            setShown(shown + AT_FIRST)
            if (shown + AT_FIRST >= differences.length) more?.()
          }}
        >
          {more ? 'More differences' : `${differences.length - shown} more`}
        </button>
      )}
    </>
  )
}

/** As many as the API gives at once. */
const PAGE = 200

/** What is different, as the API says it there; as much of it as somebody wants to see. */
export function LoadedDifferences({ path }: { path: string }) {
  const list = usePages<Difference>((_after, _limit, from) => `${path}${query({ from: from || undefined })}`, PAGE)
  const { items, problem, loading, has_more, reload, more } = list
  const told = useMemo(() => items && withoutStamps(items), [items])
  return (
    <>
      {problem && <Failed problem={problem} again={reload} />}
      {told === undefined ? (
        loading && <Loading />
      ) : told.length === 0 ? (
        <p>No differences.</p>
      ) : (
        <Differences differences={told} more={has_more ? more : undefined} />
      )}
    </>
  )
}

/** Leaves out what every version has of its own, and nobody wants to know. */
function withoutStamps(differences: readonly Difference[]): readonly Difference[] {
  return differences.filter(
    ({ domain, plugin, changes }) =>
      domain !== null || plugin !== null || !changes.every((change) => /^general\.(version|expires):/.test(change)),
  )
}

/** Lines around a change that are shown with it. */
const AROUND = 3

function CodeDifference({ before, after }: { before: string; after: string }) {
  const lines = useMemo(() => compare(before, after), [before, after])
  return (
    <Scrolled label="Code before and after">
      <pre class="diff">
        {lines.map(({ sign, text }, index) => (
          <div key={index} class={sign === '+' ? 'plus' : sign === '-' ? 'minus' : undefined}>
            {`${sign} ${text}`}
          </div>
        ))}
      </pre>
    </Scrolled>
  )
}

function compare(before: string, after: string): { sign: string; text: string }[] {
  const end = (text: string) => (text === '' || text.endsWith('\n') ? text : `${text}\n`)
  const parts = diffLines(end(before), end(after), { maxEditLength: 2000 })
  // Too much is different to say what belongs to what.
  if (parts === undefined) {
    return [...write('-', before.split('\n')), ...write('+', after.split('\n'))]
  }
  return parts.flatMap(({ value, added, removed }, index) => {
    const lines = value.replace(/\n$/, '').split('\n')
    if (added || removed) return write(added ? '+' : '-', lines)
    const head = index === 0 ? 0 : AROUND
    const tail = index === parts.length - 1 ? 0 : AROUND
    if (lines.length <= head + tail + 1) return write(' ', lines)
    const left_out = { sign: ' ', text: `… ${lines.length - head - tail} lines …` }
    return [...write(' ', lines.slice(0, head)), left_out, ...write(' ', tail === 0 ? [] : lines.slice(-tail))]
  })
}

function write(sign: string, lines: readonly string[]): { sign: string; text: string }[] {
  return lines.map((text) => ({ sign, text }))
}
