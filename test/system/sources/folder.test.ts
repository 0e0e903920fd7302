import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { readDocument } from '../../../lib/background/reading/validator.ts'
import { folder_source } from '../../../lib/sources/folder/source.ts'
import { runChild } from '../../fixtures/child.ts'
import { makePipe } from '../../fixtures/pipe.ts'
import { documentOf, folderOf } from '../../fixtures/plugin-folder.ts'

test('a file that is a pipe nobody writes to refuses its plugin alone', async () => {
  const folder = folderOf({ 'dynacode.json': documentOf({ file: 'a.js' }, { file: 'pipe' }), 'a.js': 'a' })
  makePipe(join(folder, 'pipe'))
  const fetched = await folder_source(folder).fetch(AbortSignal.timeout(20_000), undefined)
  const { domains } = readDocument(fetched.unchanged ? '' : Buffer.from(fetched.bytes).toString())
  expect(domains).toMatchObject([
    {
      plugins: [
        { name: 'p0' },
        { error: { message: 'domains[0].plugins[1].file: expected a file, got "pipe", which is none' } },
      ],
    },
  ])
})

describe('a process', () => {
  test('ends by itself, whatever the folder does meanwhile', async () => {
    const folder = folderOf({ 'dynacode.json': documentOf({ file: 'a.js' }), 'a.js': 'a' })
    const path = JSON.stringify(folder)
    const ended = await runChild(`
      const { folder_source } = await import('dynacode')
      const dyna = dynacode({ logger: false, source: folder_source(${path}) })
      await dyna.ready()
      const again = folder_source(${path})
      again.watch(() => undefined)
      again.fetch(new AbortController().signal)
      setTimeout(() => process.stdout.write('idle'), 200)
    `)
    expect(ended).toEqual({ code: 0, signal: null, stdout: 'idle', stderr: '' })
  })
})
