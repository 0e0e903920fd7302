import { spawnSync } from 'node:child_process'
import { expect, test } from 'vitest'
import packageJson from '../../../package.json' with { type: 'json' }

test('npm run opentelemetry prints what its plugins did under each request, and ends by itself', () => {
  const [node, ...args] = packageJson.scripts.opentelemetry.split(' ')
  expect(node).toBe('node')
  const { stdout, stderr, status } = spawnSync(process.execPath, args, { encoding: 'utf8', timeout: 60_000 })
  expect([status, stderr]).toEqual([0, ''])
  expect(stdout.split('\n').filter((line) => !line.startsWith('dynacode refresh'))).toEqual([
    '/ answers 200: hello ada',
    '/secret answers 403: Forbidden',
    'GET /',
    '  access who (done)',
    '    fetch GET /user',
    '  access block (done)',
    '  header_filter broken (open)',
    'fetch GET /',
    'GET /secret',
    '  access who (done)',
    '    fetch GET /user',
    '  access block (exit)',
    '  header_filter broken (open)',
    'fetch GET /secret',
    '',
  ])
})
