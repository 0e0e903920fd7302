import type { Edit } from './code-edits.ts'
import { marksFor } from './function-text.ts'
import type { Around } from './guard-texts.ts'
import type { Node } from './syntax-tree.ts'

/** Takes down what is to be put into a code, and where. */
export interface Insertions {
  readonly edits: readonly Edit[]
  /** Puts a text at a position of the tree's. */
  insert(at: number, text: string): void
  /** Puts texts before an expression and after it; `inside` puts what belongs in between. */
  wrap(node: Node, around: Around, inside: () => void): void
  /** Puts a text before everything else. */
  begin(text: string): void
}

/**
 * Begins to take down what is put into a code. Each text is marked as the guard's own.
 *
 * @param offset position of the code's first character in the tree's numbers
 * @param prefix what is nowhere in the code
 */
export function createInsertions(code: string, offset: number, prefix: string): Insertions {
  const edits: Edit[] = []
  const { open, close } = marksFor(code, prefix)

  const insert = (at: number, text: string) => {
    edits.push({ at: at - offset, text: `${open}${text}${close}` })
  }

  return {
    edits,
    insert,
    wrap(node, { before, after }, inside) {
      // What stands in parentheses of its own begins inside of these: its commas would become the call's.
      const isSequence = node.type === 'SequenceExpression'
      insert(node.start, isSequence ? `${before}(` : before)
      inside()
      insert(node.end, isSequence ? `)${after}` : after)
    },
    begin(text) {
      edits.unshift({ at: 0, text: `${open}${text}${close}` })
    },
  }
}
