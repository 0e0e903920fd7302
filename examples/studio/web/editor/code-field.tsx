import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks'
import type { Finding } from '../../shared/review.ts'
import type { CodeView } from './code-view.ts'

/** Where code is written. Until the editor is there, or when it cannot be loaded, a plain field does. */
export function CodeField({
  code,
  phase,
  params,
  findings,
  read_only,
  change,
  goto,
}: {
  code: string
  phase: string
  params: readonly string[]
  findings: readonly Finding[]
  read_only: boolean
  change(code: string): void
  goto: { readonly line: number } | undefined
}) {
  const host = useRef<HTMLDivElement>(null)
  const [view, setView] = useState<CodeView>()
  const newest = useRef({ code, phase, params, change })
  newest.current = { code, phase, params, change }

  useEffect(() => {
    let made: CodeView | undefined
    let is_gone = false
    import('./code-view.ts').then(
      ({ createCodeView }) => {
        if (is_gone || host.current === null) return
        made = createCodeView(host.current, {
          code: newest.current.code,
          label: 'Code',
          read_only,
          around: { phase: () => newest.current.phase, params: () => newest.current.params },
          change: (text) => newest.current.change(text),
        })
        setView(made)
      },
      // The plain field stays.
      () => undefined,
    )
    return () => {
      is_gone = true
      made?.destroy()
    }
  }, [read_only])
  // With every rendering: the editor has to know what the page has got of it.
  useLayoutEffect(() => view?.setCode(code))
  useEffect(() => view?.show(findings), [view, findings])
  useEffect(() => {
    if (goto !== undefined) view?.focus(goto.line)
  }, [view, goto])

  return (
    <div class="code">
      <div ref={host} hidden={view === undefined} />
      {view === undefined && (
        <textarea
          aria-label="Code"
          rows={14}
          spellcheck={false}
          readOnly={read_only}
          value={code}
          onInput={({ currentTarget }) => change(currentTarget.value)}
        />
      )}
    </div>
  )
}

/** Their code beside yours. */
export function MergeField({ theirs, mine, change }: { theirs: string; mine: string; change(code: string): void }) {
  const host = useRef<HTMLDivElement>(null)
  const newest = useRef(change)
  newest.current = change
  useEffect(() => {
    let made: { destroy(): void } | undefined
    let is_gone = false
    import('./code-view.ts').then(({ createMergeView }) => {
      if (!is_gone && host.current !== null)
        made = createMergeView(host.current, { theirs, mine, change: (code) => newest.current(code) })
    })
    return () => {
      is_gone = true
      made?.destroy()
    }
  }, [])
  return <div class="code merge" ref={host} />
}
