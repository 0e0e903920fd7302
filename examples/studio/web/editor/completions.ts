import made from 'virtual:plugin-scope'
import type { Completion, CompletionContext, CompletionResult } from '@codemirror/autocomplete'

/** A name, and what is known of it. */
export interface ScopeName {
  readonly name: string
  readonly kind: 'function' | 'property'
  /** Its type, in short. */
  readonly type: string
  /** The first sentence that is written of it. */
  readonly doc: string
}

/** What plugin code finds: in each phase, and inside of what it finds there. */
export interface PluginScope {
  readonly phases: Readonly<Record<string, readonly ScopeName[]>>
  /** By path, such as `ctx.response`. */
  readonly members: Readonly<Record<string, readonly ScopeName[]>>
}

const scope = made as PluginScope

/** What is known beside the types, at the moment. */
export interface Surroundings {
  phase(): string
  /** Names in `params`. */
  params(): readonly string[]
}

/** Completes what plugin code finds in its scope, in its phase. */
export function createCompletions(around: Surroundings): (context: CompletionContext) => CompletionResult | null {
  return (context) => {
    const before = context.matchBefore(/[\w$]+(\??\.[\w$]*)*$|\??\.[\w$]*$/)
    if (before === null && !context.explicit) return null
    const text = (before?.text ?? '').replaceAll('?.', '.')
    const dot = text.lastIndexOf('.')
    const from = context.pos - (text.length - dot - 1)
    const path = text.slice(0, Math.max(dot, 0))
    if (dot === -1) {
      const names = scope.phases[around.phase()] ?? []
      return { from, options: names.map((name) => complete(name, 10)), validFor: /^[\w$]*$/ }
    }
    if (path === 'params') return { from, options: around.params().map((label) => ({ label, type: 'property' })) }
    const members = scope.members[path]
    if (members === undefined) return null
    return { from, options: members.map((name) => complete(name, 0)), validFor: /^[\w$]*$/ }
  }
}

function complete({ name, kind, type, doc }: ScopeName, boost: number): Completion {
  return {
    label: name,
    type: kind,
    boost,
    info: () => {
      const note = document.createElement('div')
      const code = document.createElement('code')
      code.textContent = type
      note.append(code)
      if (doc !== '') {
        const words = document.createElement('p')
        words.textContent = doc
        note.append(words)
      }
      return note
    },
  }
}
