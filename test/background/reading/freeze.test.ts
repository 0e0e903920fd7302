import { expect, test } from 'vitest'
import { freezeDeep, MAX_DEPTH } from '../../../lib/background/reading/freeze.ts'

function nested(depth: number): object {
  let value: object = {}
  for (let level = 1; level < depth; level += 1) value = level % 2 === 0 ? { value } : [value]
  return value
}

test('freezes data through and through', () => {
  const leaf = { list: [{ a: null }] }
  const data = { leaf, again: leaf, text: 'x' }
  expect(freezeDeep(data)).toBe(data)
  expect([data, leaf, leaf.list, leaf.list[0]].every((part) => Object.isFrozen(part))).toBe(true)
})

test('refuses what is nested too deeply, however deep that is', () => {
  expect(freezeDeep(nested(MAX_DEPTH))).toBeDefined()
  expect(freezeDeep(nested(MAX_DEPTH + 1))).toBeUndefined()
  expect(freezeDeep(nested(100_000))).toBeUndefined()
})
