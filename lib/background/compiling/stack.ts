import { chunkName } from './compiled-text.ts'
import { createLocator } from './guarded-code.ts'

/** Costs a parse of the code, so that each plugin's is kept as long as the plugin itself. */
const locators = new WeakMap<object, ReturnType<typeof createLocator>>()

/** Puts the columns in an error's stack where the plugin's author knows them: the guard's checks have moved them. */
export function rewriteStack({ spec }: { spec: { name: string; code: string; guard: string } }, error: unknown): void {
  if (spec.guard === 'off') return
  try {
    if (!(error instanceof Error) || typeof error.stack !== 'string') return
    const chunk = chunkName(spec.name)
    if (!error.stack.includes(`${chunk}:`)) return
    const locate = locators.get(spec) ?? createLocator(spec.code)
    locators.set(spec, locate)
    const places = new RegExp(`(${escapeExpression(chunk)}):(\\d+):(\\d+)`, 'g')
    error.stack = error.stack.replace(places, (_, name, line, column) => {
      return `${name}:${line}:${locate(Number(line), Number(column))}`
    })
  } catch {
    // A frozen error, one whose stack is not its own or throws when it is read: its columns stay.
  }
}

function escapeExpression(text: string): string {
  return text.replace(/[$()*+.?[\\\]^{|}]/g, '\\$&')
}
