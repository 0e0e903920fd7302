import { describe, expect, test } from 'vitest'
import { frameSchema, MAX_NAME_LENGTH, PHASES, pluginSchema, referenceSchema } from '../lib/document.ts'

describe('the phases', () => {
  test('are the seven of the contract, in the order in which they run', () => {
    expect(PHASES).toEqual(['rewrite', 'access', 'content', 'balancer', 'header_filter', 'body_filter', 'log'])
    expect(Object.isFrozen(PHASES)).toBe(true)
  })
})

describe('the schemas', () => {
  const plugin = { name: 'p', phase: 'log', code: '' }

  test('ask for a name and a phase, and for a code of any length', () => {
    expect(pluginSchema.safeParse(plugin).success).toBe(true)
    for (const field of ['name', 'phase'] as const) {
      expect(pluginSchema.safeParse({ ...plugin, [field]: undefined }).success).toBe(false)
    }
  })

  test('take names of up to 1024 characters', () => {
    expect(pluginSchema.safeParse({ ...plugin, name: 'x'.repeat(MAX_NAME_LENGTH) }).success).toBe(true)
    expect(pluginSchema.safeParse({ ...plugin, name: 'x'.repeat(MAX_NAME_LENGTH + 1) }).success).toBe(false)
  })

  test('let a reference say all but the code, and need its id alone', () => {
    expect(referenceSchema.safeParse({ id: 1 }).success).toBe(true)
    expect(referenceSchema.safeParse({ name: 'p' }).success).toBe(false)
    expect(referenceSchema.parse({ id: 1, code: 'x', priority: 2 })).toEqual({ id: 1, priority: 2 })
  })

  test('need a list of named domains and nothing else', () => {
    expect(frameSchema.safeParse({ domains: [] }).success).toBe(true)
    expect(frameSchema.safeParse({ domains: [{ name: 'a' }] }).success).toBe(true)
    expect(frameSchema.safeParse({}).success).toBe(false)
    expect(frameSchema.safeParse({ domains: [{}] }).success).toBe(false)
  })
})
