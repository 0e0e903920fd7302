import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { describe, expect, onTestFinished, test } from 'vitest'
import { makeFolder, writeFiles } from '../../fixtures/plugin-folder.ts'

const ROOT = join(import.meta.dirname, '..', '..', '..')
const MANIFEST = { domains: [{ name: '^a$', plugins: [{ name: 'hello', phase: 'content', file: 'hello.js' }] }] }

declare const served: { domains: { plugins: { code: string }[] }[] }

/** Starts the command, and hands out its lines one after the other. */
function start(...words: readonly string[]) {
  const child = spawn(process.execPath, [join(ROOT, 'dist', 'cli', 'main.js'), 'serve', ...words])
  onTestFinished(() => void child.kill('SIGKILL'))
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  // biome-ignore lint/suspicious/noExplicitAny: each test reads what it asks for
  const next = async (): Promise<any> => JSON.parse((await lines.next()).value ?? '{}')
  return { child, next }
}

describe('dynacode serve', () => {
  test('serves the folder, checks it on every save, and answers who waits at once', async () => {
    const folder = makeFolder()
    writeFiles(folder, { 'dynacode.json': MANIFEST, 'hello.js': "say('hi')" })
    const { child, next } = start(folder, '--port', '0', '--json')
    const { url } = await next()
    expect(await next()).toMatchObject({ plugins: 1, errors: 0 })
    const first = await fetch(url)
    const etag = first.headers.get('etag') as string
    expect(((await first.json()) as typeof served).domains[0]?.plugins[0]?.code).toBe("say('hi')")

    const waited = fetch(url, { headers: { 'If-None-Match': etag, Prefer: 'wait=30' } })
    writeFiles(folder, { 'hello.js': "sayy('hi')" })
    expect(await next()).toMatchObject({ errors: 1, findings: [{ rule: 'unknown-name', file: 'hello.js' }] })
    const second = await waited
    expect(second.status).toBe(200)
    expect(((await second.json()) as typeof served).domains[0]?.plugins[0]?.code).toBe("sayy('hi')")

    writeFiles(folder, { 'dynacode.json': '{' })
    expect((await next()).error).toMatch(/dynacode\.json:1:2: expected/)
    expect((await fetch(url)).status).toBe(200)

    child.kill('SIGINT')
    expect(await once(child, 'exit')).toEqual([0, null])
  })
})
