import { mkdtempSync, readFileSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { resultOf, runChild } from '../../fixtures/child.ts'

// Node's permission model switches some calls off for the whole process, whatever is allowed.
const FLAG = process.allowedNodeEnvironmentFlags.has('--permission') ? '--permission' : '--experimental-permission'

test(`under ${FLAG} the cache is written, and found by the next start`, async () => {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'dynacode-permission-')))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const cache_path = join(folder, 'cache')
  const flags = [
    FLAG,
    '--no-warnings',
    '--allow-fs-read=*',
    '--allow-worker',
    '--allow-child-process',
    '--allow-addons',
  ]
  flags.push(`--allow-fs-write=${tmpdir()}/*`, `--allow-fs-write=${folder}/*`)
  const run = (fetch: string) =>
    runChild(
      `
      const errors = []
      const source = { fetch: ${fetch} }
      const on_error = ({ error }) => errors.push(error.message)
      const dyna = dynacode({ source, cache_path: '${cache_path}', on_error, logger: false })
      const { from } = await dyna.ready()
      const first = await dyna.refresh()
      await dyna.close()
      console.log(JSON.stringify({ from, reason: first.reason, errors }))
      process.exit()
    `,
      { flags: process.allowedNodeEnvironmentFlags.has('--allow-net') ? [...flags, '--allow-net'] : flags },
    )
  const fetched = await run(`async (signal, last) => ({ bytes: Buffer.from('{"domains":[]}'), tag: 'a' })`)
  expect(resultOf(fetched)).toEqual({ from: 'network', reason: 'unchanged', errors: [] })
  expect(readFileSync(cache_path, 'utf8')).toContain('{"domains":[]}')
  const started = await run(`async () => { throw new Error('down') }`)
  expect(resultOf(started)).toEqual({ from: 'cache', reason: 'fetch', errors: [] })
})
