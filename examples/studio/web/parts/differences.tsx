import { diffLines } from 'diff'
import { Fragment } from 'preact'
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
          const { kind, domain, plugin, phase, changes, fields, code } = difference
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
              {fields.length > 0 && <FieldTable kind={kind} fields={fields} />}
              {code !== null && <CodeDifference kind={kind} before={code.before} after={code.after} />}
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

/** Every field that is different, before and after; of what was added or removed, every field that it runs with. */
function FieldTable({ kind, fields }: Pick<Difference, 'kind' | 'fields'>) {
  return (
    <Scrolled kind="scroll" label="Fields">
      <table class="fields">
        <thead>
          <tr>
            <th scope="col">Field</th>
            {kind !== 'added' && <th scope="col">{kind === 'removed' ? 'Value' : 'Before'}</th>}
            {kind !== 'removed' && <th scope="col">{kind === 'added' ? 'Value' : 'After'}</th>}
          </tr>
        </thead>
        <tbody>
          {fields.map(({ name, before, after }) => (
            <tr key={name}>
              <th scope="row">{name}</th>
              {kind !== 'added' && (
                <td class={kind === 'changed' ? 'minus' : undefined}>
                  <code>{before ?? '—'}</code>
                </td>
              )}
              {kind !== 'removed' && (
                <td class={kind === 'changed' ? 'plus' : undefined}>
                  <code>{after ?? '—'}</code>
                </td>
              )}
            </tr>
          ))}
        </tbody>
      </table>
    </Scrolled>
  )
}

/** Lines around a change that are shown with it. */
const AROUND = 3

interface Line {
  readonly sign: string
  readonly text: string
}

/** Code before and after, side by side; of what was added or removed, all of it. */
function CodeDifference({ kind, before, after }: { kind: Difference['kind']; before: string; after: string }) {
  const rows = useMemo(() => pair(compare(before, after)), [before, after])
  if (kind !== 'changed' || before === '' || after === '')
    return (
      <Scrolled label="Code">
        <pre class="diff">
          {rows.map(([left, right], index) => (
            <CodeLine key={index} line={right ?? left} />
          ))}
        </pre>
      </Scrolled>
    )
  return (
    <Scrolled label="Code before and after">
      <div class="beside">
        <b>Before</b>
        <b>After</b>
        {rows.map(([left, right], index) => (
          <Fragment key={index}>
            <CodeLine line={left} />
            <CodeLine line={right} />
          </Fragment>
        ))}
      </div>
    </Scrolled>
  )
}

function CodeLine({ line }: { line: Line | undefined }) {
  if (line === undefined) return <pre class="none" aria-hidden="true" />
  const { sign, text } = line
  return <pre class={sign === '+' ? 'plus' : sign === '-' ? 'minus' : 'same'}>{`${sign} ${text}`}</pre>
}

/** What went beside what came in its place. */
function pair(lines: readonly Line[]): [Line | undefined, Line | undefined][] {
  const rows: [Line | undefined, Line | undefined][] = []
  let [gone, come]: [Line[], Line[]] = [[], []]
  const flush = () => {
    for (let at = 0; at < Math.max(gone.length, come.length); at += 1) rows.push([gone[at], come[at]])
    gone = []
    come = []
  }
  for (const line of lines) {
    if (line.sign === '-') gone.push(line)
    else if (line.sign === '+') come.push(line)
    else {
      flush()
      rows.push([line, line])
    }
  }
  flush()
  return rows
}

function compare(before: string, after: string): Line[] {
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

function write(sign: string, lines: readonly string[]): Line[] {
  return lines.map((text) => ({ sign, text }))
}
