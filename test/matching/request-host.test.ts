import type { Context } from 'koa'
import { expect, it } from 'vitest'
import { hostOf, isMemorable } from '../../lib/matching/request-host.ts'

it.each([
  ['a.com', 'a.com'],
  ['A.Com', 'a.com'],
  ['a.com.', 'a.com'],
  ['[::1]', '[::1]'],
  ['', ''],
])("names a request's host as plugins are matched: %j is %j", (hostname, host) => {
  expect(hostOf({ hostname } as Context)).toBe(host)
})

it.each([
  ['a.com', true],
  ['a.com:8080', true],
  ['[::1]', true],
  ['user@a.com', false],
  ['a.com, b.com', false],
  ['a'.repeat(257), false],
])('remembers a host under its authority where that can be read in one way only: %j %j', (authority, is_memorable) => {
  expect(isMemorable(authority)).toBe(is_memorable)
})
