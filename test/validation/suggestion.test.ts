import { describe, expect, test } from 'vitest'
import { pluginSchema } from '../../lib/document.ts'
import { createSuggester } from '../../lib/validation/suggestion.ts'

const meant = createSuggester(Object.keys(pluginSchema.shape))

describe('a name that is not known', () => {
  test.each([
    ['whne', 'when'],
    ['When', 'when'],
    ['_when', 'when'],
    ['phases', 'phase'],
    ['on-failure', 'on_failure'],
    ['startsAt', 'starts_at'],
    ['priortiy', 'priority'],
    ['timeout', 'timeout_ms'],
    ['expires', 'expires_at'],
    ['nаme', 'name'],
  ])('%s is close to %s', (unknown, known) => {
    expect(meant(unknown)).toBe(known)
  })

  // What people and tools write beside the fields of others.
  test.each([
    'description comment note notes owner author team tags labels title type kind group version status disabled state url',
    'host domain method path percent created_at updated_at created_by display_name code_owners metadata depends_on plugin',
    'ngx lua openresty file source test tests language order weight active link guid 日本 toString constructor',
  ])('%s is like none', (names) => {
    for (const name of names.split(' ')) expect([name, meant(name)]).toEqual([name, undefined])
  })

  test('is the nearest of several; of those that are as near, the one that begins as it does', () => {
    expect(createSuggester(['paths', 'paths_raw', 'ips'])('path')).toBe('paths')
    expect(createSuggester(['on_stale', 'on_fail'])('on_fale')).toBe('on_fail')
    expect(createSuggester([])('a')).toBeUndefined()
    expect(meant('a'.repeat(1_000_000))).toBeUndefined()
  })
})
