import { createServer } from 'node:http'
import { expect, test } from 'vitest'
import { listen } from '../../fixtures/app.ts'

test('a process that reports ends when it has nothing else to do', async () => {
  const server = createServer((_request, response) => void response)
  const port = await listen(server)
  const { spawn } = await import('node:child_process')
  const script = `import { dynacode } from 'dynacode'
    dynacode({ logger: false, source: { fetch: async () => ({ bytes: Buffer.from('{"domains":[]}') }) }, report_uri: 'http://127.0.0.1:${port}/', report_interval: 0.01 })
    setTimeout(() => console.log('done'), 400)`
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const code = await new Promise((resolve) => child.once('exit', resolve))
  expect(code).toBe(0)
})
