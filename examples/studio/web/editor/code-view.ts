import { autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap } from '@codemirror/autocomplete'
import { defaultKeymap, history, historyKeymap, indentWithTab } from '@codemirror/commands'
import { javascript, javascriptLanguage } from '@codemirror/lang-javascript'
import { bracketMatching, HighlightStyle, indentOnInput, syntaxHighlighting } from '@codemirror/language'
import { type Diagnostic, lintKeymap, setDiagnostics } from '@codemirror/lint'
import { MergeView } from '@codemirror/merge'
import { highlightSelectionMatches, searchKeymap } from '@codemirror/search'
import { EditorState, type Extension } from '@codemirror/state'
import {
  drawSelection,
  EditorView,
  highlightActiveLine,
  highlightActiveLineGutter,
  keymap,
  lineNumbers,
} from '@codemirror/view'
import { tags } from '@lezer/highlight'
import type { Finding } from '../../shared/review.ts'
import { createCompletions, type Surroundings } from './completions.ts'

/** An editor of code that is on the page. */
export interface CodeView {
  setCode(code: string): void
  show(findings: readonly Finding[]): void
  /** Goes to a line, from 1. */
  focus(line?: number): void
  destroy(): void
}

const look = EditorView.theme({
  '&': { color: 'var(--ink)', backgroundColor: 'var(--field)', fontSize: '14px' },
  // The box around it shows the focus.
  '&.cm-focused': { outline: 'none' },
  '.cm-scroller': { fontFamily: 'var(--mono)', lineHeight: '1.55' },
  '.cm-content': { caretColor: 'var(--ink)', padding: '8px 0' },
  '.cm-cursor': { borderLeftColor: 'var(--ink)' },
  '.cm-gutters': { backgroundColor: 'var(--panel)', color: 'var(--faint)', borderRight: '1px solid var(--line)' },
  '.cm-activeLine, .cm-activeLineGutter': { backgroundColor: 'var(--active-line)' },
  '&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground': {
    backgroundColor: 'var(--selection)',
  },
  '.cm-tooltip, .cm-panels': { backgroundColor: 'var(--panel)', color: 'var(--ink)', borderColor: 'var(--line)' },
  '.cm-tooltip-autocomplete > ul > li[aria-selected]': { backgroundColor: 'var(--accent)', color: 'var(--on-accent)' },
  '.cm-completionInfo': { maxWidth: '26rem', padding: '6px 10px' },
  '.cm-completionInfo p': { margin: '4px 0 0' },
  // The marks of the package are pictures in data: addresses, which the page's policy does not load.
  '.cm-lintRange-error, .cm-lintRange-warning, .cm-lintRange-info': { backgroundImage: 'none', paddingBottom: '0' },
  '.cm-lintRange-error': { textDecoration: 'underline wavy var(--bad)', backgroundColor: 'var(--bad-soft)' },
  '.cm-lintRange-warning': { textDecoration: 'underline wavy var(--warn)' },
  '.cm-lintRange-info': { textDecoration: 'underline dotted var(--faint)' },
  '.cm-diagnostic-error': { borderLeftColor: 'var(--bad)' },
  '.cm-diagnostic-warning': { borderLeftColor: 'var(--warn)' },
  '.cm-diagnostic-info': { borderLeftColor: 'var(--faint)' },
})

const colours = HighlightStyle.define([
  { tag: [tags.keyword, tags.controlKeyword, tags.definitionKeyword], color: 'var(--code-keyword)' },
  { tag: [tags.string, tags.special(tags.string), tags.regexp], color: 'var(--code-string)' },
  { tag: [tags.number, tags.bool, tags.null], color: 'var(--code-number)' },
  { tag: tags.comment, color: 'var(--code-comment)', fontStyle: 'italic' },
  { tag: [tags.function(tags.variableName), tags.function(tags.propertyName)], color: 'var(--code-call)' },
])

const common: Extension = [
  lineNumbers(),
  drawSelection(),
  indentOnInput(),
  bracketMatching(),
  closeBrackets(),
  highlightActiveLine(),
  highlightActiveLineGutter(),
  highlightSelectionMatches(),
  history(),
  javascript(),
  syntaxHighlighting(colours),
  look,
  EditorState.tabSize.of(2),
  keymap.of([
    ...closeBracketsKeymap,
    ...defaultKeymap,
    ...searchKeymap,
    ...historyKeymap,
    ...completionKeymap,
    ...lintKeymap,
    indentWithTab,
  ]),
]

/** Styles go into a shadow tree's own sheets: the page's policy allows no others (style-mod does so by itself there). */
function openRoot(host: HTMLElement): ShadowRoot {
  const root = host.shadowRoot ?? host.attachShadow({ mode: 'open' })
  root.replaceChildren()
  return root
}

/** Puts an editor onto the page. @param change told of what is typed */
export function createCodeView(
  host: HTMLElement,
  {
    code,
    label,
    read_only,
    around,
    change,
  }: { code: string; label: string; read_only: boolean; around: Surroundings; change(code: string): void },
): CodeView {
  const root = openRoot(host)
  /** What was typed, as far as it has not come back from the page, which is always a little behind. */
  let typed: string[] = []
  let is_told = false
  const view = new EditorView({
    root,
    parent: root,
    doc: code,
    extensions: [
      common,
      autocompletion({ icons: false }),
      javascriptLanguage.data.of({ autocomplete: createCompletions(around) }),
      EditorState.readOnly.of(read_only),
      EditorView.contentAttributes.of({ 'aria-label': label, spellcheck: 'false' }),
      // How high it is at least, the page around it says: what is in a shadow tree inherits no more than variables.
      EditorView.theme({
        '.cm-content, .cm-gutter': { minHeight: 'var(--code-height, 16rem)' },
        '.cm-scroller': { maxHeight: 'max(70vh, var(--code-height, 16rem))' },
      }),
      EditorView.updateListener.of(({ docChanged, state }) => {
        if (!docChanged || is_told) return
        const text = state.doc.toString()
        typed.push(text)
        change(text)
      }),
    ],
  })
  return {
    setCode(next) {
      const own = typed.lastIndexOf(next)
      typed = typed.slice(own + 1)
      if (own !== -1) return
      typed = []
      const { doc } = view.state
      if (doc.toString() === next) return
      is_told = true
      view.dispatch({ changes: { from: 0, to: doc.length, insert: next } })
      is_told = false
    },
    show(findings) {
      view.dispatch(
        setDiagnostics(
          view.state,
          findings.flatMap((finding) => locate(view.state, finding)),
        ),
      )
    },
    focus(line) {
      if (line !== undefined && line <= view.state.doc.lines) {
        const { from } = view.state.doc.line(line)
        view.dispatch({ selection: { anchor: from }, scrollIntoView: true })
      }
      view.focus()
    },
    destroy: () => view.destroy(),
  }
}

function locate({ doc }: EditorState, { severity, message, rule, line, column }: Finding): Diagnostic[] {
  if (line === null) return []
  const at = doc.line(Math.min(Math.max(line, 1), doc.lines))
  const from = Math.min(at.from + Math.max((column ?? 1) - 1, 0), at.to)
  const word = /^[\w$]+|^\S/.exec(doc.sliceString(from, at.to))?.[0].length ?? 0
  // Where nothing stands, as at the end of code that breaks off, the line is marked.
  const range = word > 0 ? { from, to: from + word } : { from: at.from, to: at.to }
  return [{ ...range, severity: severity === 'note' ? 'info' : severity, message, source: rule }]
}

/** Shows two codes side by side; the right one can be changed, and takes over parts of the left one. */
export function createMergeView(
  host: HTMLElement,
  { theirs, mine, change }: { theirs: string; mine: string; change(code: string): void },
): { destroy(): void } {
  const root = openRoot(host)
  // Two beside each other have little room: long lines are wrapped, and nothing has to be scrolled sideways.
  const named = (label: string) => [
    EditorView.contentAttributes.of({ 'aria-label': label, spellcheck: 'false' }),
    EditorView.lineWrapping,
  ]
  const view = new MergeView({
    root,
    parent: root,
    a: { doc: theirs, extensions: [common, EditorState.readOnly.of(true), named('Their code')] },
    b: {
      doc: mine,
      extensions: [
        common,
        named('Your code'),
        EditorView.updateListener.of(({ docChanged, state }) => {
          if (docChanged) change(state.doc.toString())
        }),
      ],
    },
    revertControls: 'a-to-b',
  })
  return view
}
