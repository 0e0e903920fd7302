import type { Context } from 'koa'
import { expect, it } from 'vitest'
import { hostOf } from '../../lib/matching/request-host.ts'

it.each([
  ['a.com', 'a.com'],
  ['A.Com', 'a.com'],
  ['a.com.', 'a.com'],
  ['[::1]', '[::1]'],
  ['', ''],
])("names a request's host as plugins are matched: %j is %j", (hostname, host) => {
  expect(hostOf({ hostname } as Context)).toBe(host)
})
