import { describe, expect, test } from 'vitest'
import { readDocument } from '../../../lib/background/reading/validator.ts'
import type { Domain, PluginSpec, RefusedPlugin } from '../../../lib/document.ts'

const member = (name: string, fields: object = {}) => ({ name, phase: 'access', code: '', unit: 'x', ...fields })

function read(...domains: readonly (readonly object[])[]): readonly (PluginSpec | RefusedPlugin)[] {
  const text = JSON.stringify({ domains: domains.map((plugins) => ({ name: '*', plugins })) })
  return (readDocument(text).domains as readonly Domain[]).flatMap(({ plugins }) => plugins)
}
const errorOf = (plugin: PluginSpec | RefusedPlugin | undefined) =>
  plugin !== undefined && 'error' in plugin ? plugin.error.message : undefined

const STARTS = '2030-01-01T00:00:00Z'
const rollout = { percent: 10, by: ['cookie:sid', 'ip'], stop_when: { error_rate: 0.1 } }

describe('what one plugin of a unit says of the rollout and of the times holds for all', () => {
  test.each<[string, object, object?]>([
    ['a rollout', { rollout }],
    ['the same, more than once', { rollout }, { rollout: { ...rollout } }],
    ['steps', { rollout: { steps: [{ percent: 1, for: '10m' }, { percent: 50 }] }, starts_at: STARTS }],
    ['times', { starts_at: STARTS, expires_at: '2031-01-01T00:00:00Z' }],
  ])('%s', (_, first, second = {}) => {
    const [a, b, c] = read([member('a', second), member('b', first), member('c')]) as PluginSpec[]
    expect(errorOf(a)).toBeUndefined()
    expect(a?.scope).toEqual(b?.scope)
    expect(c?.scope).toEqual(b?.scope)
    expect(a?.unit).toEqual({ name: 'x', size: 3 })
    expect(Object.isFrozen(a?.scope)).toBe(true)
  })

  test('but not for plugins of no unit, of another, or that are switched off', () => {
    const plugins = [member('a', { rollout }), member('b', { unit: 'y' }), member('c', { unit: undefined })]
    const [a, b, c, d] = read([...plugins, member('d', { enabled: false })]) as PluginSpec[]
    expect(a?.scope.share?.salt).toBe('x')
    expect([b, c, d].map((plugin) => plugin?.scope.share)).toEqual([undefined, undefined, undefined])
    expect([a, b, c, d].map((plugin) => plugin?.unit?.name)).toEqual(['x', 'y', undefined, undefined])
  })
})

describe('what a unit cannot be is refused', () => {
  test.each<[string, object, object, string]>([
    [
      'two shares',
      { rollout: { percent: 10 } },
      { rollout: { percent: 20 } },
      'domains[0].plugins[1].rollout: expected the same as in domains[0].plugins[0], or none: the plugins of the unit "x" have one',
    ],
    [
      'two keys',
      { rollout: { percent: 10 } },
      { rollout: { percent: 10, by: 'cookie:a' } },
      'plugins[1].rollout: expected',
    ],
    [
      'two guards',
      { rollout },
      { rollout: { ...rollout, stop_when: { error_rate: 0.2 } } },
      'plugins[1].rollout: expected',
    ],
    ['two beginnings', { starts_at: STARTS }, { starts_at: '2030-01-01T00:00:01Z' }, 'plugins[1].starts_at: expected'],
    ['two ends', { expires_at: STARTS }, { expires_at: '2030-01-01T00:00:01Z' }, 'plugins[1].expires_at: expected'],
    [
      'one that fails closed, where the rollout of the unit may stop',
      { rollout },
      { on_failure: 'closed' },
      'domains[0].plugins[1].on_failure: expected a plugin with "on_failure": "open"',
    ],
    [
      'variants',
      {},
      { code: undefined, variants: [{ name: 'v', percent: 5, code: '' }] },
      'domains[0].plugins[1].unit: expected a plugin with code: one with variants cannot be in a unit',
    ],
    ['a name that is none', {}, { unit: '' }, 'domains[0].plugins[1].unit: expected a string that is not empty'],
    ['a name of another kind', {}, { unit: 5 }, 'domains[0].plugins[1].unit: expected a string, got 5'],
  ])('%s', (_, first, second, message) => {
    const [a, b] = read([member('a', first), member('b', second)])
    expect(errorOf(a)).toBeUndefined()
    expect(errorOf(b)).toContain(message)
  })

  test('one that is spread over two entries of a domain', () => {
    const [a, b, c] = read([member('a')], [member('b'), member('c', { unit: 'y' })])
    expect([a, b, c].map(errorOf)).toEqual([
      undefined,
      'domains[1].plugins[0].unit: the unit "x" is in domains[0] already: a unit cannot be spread over two entries of one domain',
      undefined,
    ])
  })

  test('a plugin that is refused belongs to its unit still', () => {
    const [a, b] = read([member('a', { budget_ms: -1 }), member('b', { whne: {} })])
    expect([a?.unit, b?.unit]).toEqual([{ name: 'x' }, { name: 'x' }])
  })
})
