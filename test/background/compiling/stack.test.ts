import { describe, expect, test } from 'vitest'
import { chunkName } from '../../../lib/background/compiling/compiled-text.ts'
import { rewriteStack } from '../../../lib/background/compiling/stack.ts'

// What the guard makes of this is longer than the code: the places in the stack are those of what it makes.
const CODE = 'for (const a of b) c(a); throw e'
const spec = { name: 'p (x)', code: CODE, guard: 'on' }
const stackOf = (column: number) =>
  `Error: x\n    at run (${chunkName(spec.name)}:1:${column})\n    at app (app.js:1:${column})`

function errorWith(stack: unknown): Error {
  return Object.assign(new Error('x'), { stack })
}

describe('a stack', () => {
  test('shows the plugin’s own columns, and leaves those of others', () => {
    const error = errorWith(stackOf(1000))
    rewriteStack({ spec }, error)
    const [, column] = /x ?\):1:(\d+)|:1:(\d+)\)/.exec(error.stack ?? '') ?? []
    expect(error.stack).toContain('app.js:1:1000')
    expect(error.stack).not.toContain(`${chunkName(spec.name)}:1:1000`)
    expect(Number(column ?? 0)).toBeLessThan(1000)
  })

  test('is left as it is where nothing was put into the code', () => {
    const error = errorWith(stackOf(20))
    rewriteStack({ spec: { ...spec, guard: 'off' } }, error)
    expect(error.stack).toBe(stackOf(20))
  })

  test.each([
    ['no error', 'thrown text'],
    ['nothing', undefined],
    ['an error without a stack', errorWith(undefined)],
    ['an error whose stack is no text', errorWith({})],
    ['an error of somebody else', errorWith('Error: x\n    at app.js:1:1')],
    ['a frozen error', Object.freeze(errorWith(stackOf(20)))],
  ])('of %s harms nobody', (_, error) => {
    expect(() => rewriteStack({ spec }, error)).not.toThrow()
  })

  test('that cannot be read harms nobody', () => {
    const hostile = Object.defineProperty(new Error('x'), 'stack', {
      get() {
        throw new Error('no')
      },
    })
    expect(() => rewriteStack({ spec }, hostile)).not.toThrow()
  })
})
