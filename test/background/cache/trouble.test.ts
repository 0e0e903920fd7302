import { expect, test } from 'vitest'
import { cacheError } from '../../../lib/background/cache/safety.ts'
import { createTrouble } from '../../../lib/background/cache/trouble.ts'

function open() {
  const reports: string[] = []
  return { reports, trouble: createTrouble(({ message }) => reports.push(message)) }
}

test('trouble that stays the same is told once', () => {
  const { reports, trouble } = open()
  for (let turn = 0; turn < 5; turn += 1) trouble.failed('written', cacheError('full'))
  expect(reports).toEqual(['full'])
})

test('trouble of another kind is news, and so is the first kind after it', () => {
  const { reports, trouble } = open()
  for (const message of ['full', 'read-only', 'read-only', 'full']) trouble.failed('written', cacheError(message))
  expect(reports).toEqual(['full', 'read-only', 'full'])
})

test('trouble that was over is news when it comes back', () => {
  const { reports, trouble } = open()
  for (let turn = 0; turn < 2; turn += 1) {
    trouble.failed('written', cacheError('full'))
    trouble.over('written')
  }
  expect(reports).toEqual(['full', 'full'])
})

test('one cause that stops several parts is one piece of news, until the last of them works', () => {
  const { reports, trouble } = open()
  trouble.failed('lock', cacheError('read-only'))
  trouble.failed('written', cacheError('read-only'))
  trouble.over('lock')
  trouble.failed('lock', cacheError('read-only'))
  expect(reports).toEqual(['read-only'])
})

test('what works says nothing about what does not', () => {
  const { reports, trouble } = open()
  for (let turn = 0; turn < 3; turn += 1) {
    trouble.over('read')
    trouble.failed('written', cacheError('full'))
  }
  expect(reports).toEqual(['full'])
})
