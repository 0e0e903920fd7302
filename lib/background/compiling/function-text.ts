/** What stands around each text that is put into a code. */
export interface Marks {
  readonly open: string
  readonly close: string
}

const USUAL: Marks = Object.freeze({ open: '\v', close: '\f' })

/**
 * Chooses what tells the guard's own text from the code's. V8 takes it for white space, and it is nowhere in the code.
 *
 * @param prefix what is nowhere in the code
 */
export function marksFor(code: string, prefix: string): Marks {
  return code.includes('\v') || code.includes('\f') ? { open: `/*${prefix}*/`, close: `/*$*/` } : USUAL
}

// The last text of an arrow function may end with that function.
const MARKED = /\v[^\f]*(?:\f|$)/g
const COMMENTED = /(\/\*\$dyna\$*\*\/)[\s\S]*?(?:\/\*\$\*\/|$)/g

/** A function's text as its author wrote it. */
function originalText(text: string): string {
  return text.includes('/*$dyna') ? text.replace(COMMENTED, '') : text.replace(MARKED, '')
}

const KEY = Symbol.for('dynacode.function_text')

/**
 * Has functions of plugins show their text without the guard's checks. Whoever asks a function for its text, the app or a
 * plugin, by whatever way, asks the process's one `toString` of functions; of all other functions it says what it said.
 *
 * V8 gives the text that it has compiled, and there is no other place to step in: a `String(f)`, a template or `'' + f` in
 * the app or a library passes by whatever plugins could be given. A proxy, not a function in its place: name, length and
 * text stay those of a native one.
 */
export function hideChecks(): void {
  const holder = Function.prototype as unknown as Record<symbol, unknown>
  if (Object.hasOwn(holder, KEY)) return
  const { apply } = Reflect
  const { includes } = String.prototype
  const own = Function.prototype.toString
  const shown = new Proxy(own, {
    apply(target, self, given) {
      const text: string = apply(target, self, given)
      return apply(includes, text, ['$dyna']) ? originalText(text) : text
    },
  })
  Object.defineProperty(Function.prototype, 'toString', { value: shown, writable: true, configurable: true })
  Object.defineProperty(holder, KEY, { value: true })
}
