import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import { digestOf } from '../../../lib/background/reading/live-text.ts'
import { STRETCH } from '../../../lib/time/steps.ts'

test.each([0, 1, STRETCH, STRETCH + 1, 3 * STRETCH])(
  'the digest of %i bytes is that of all of them, with a pause in each stretch of a long text',
  (length) => {
    const bytes = Buffer.alloc(length + 2, 'abc')
    const steps = digestOf(bytes, 1, length + 1)
    let pauses = 0
    let step = steps.next()
    for (; step.done !== true; step = steps.next()) pauses += 1
    expect(step.value).toBe(
      createHash('sha256')
        .update(bytes.subarray(1, length + 1))
        .digest('binary'),
    )
    expect(pauses).toBe(length <= STRETCH ? 0 : Math.ceil(length / STRETCH))
  },
)
