import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { lockFolder as lock } from '../server/store/folder-lock.ts'

function makeFolder(): string {
  const parent = mkdtempSync(join(tmpdir(), 'studio-'))
  onTestFinished(() => rmSync(parent, { recursive: true, force: true }))
  return join(parent, 'data')
}
const never = (error: Error) => {
  throw error
}
/** Nobody who has one gives it back meanwhile: to wait for it is of no use. */
const lockFolder: typeof lock = (folder, lost) => lock(folder, lost, 10)
const age = (file: string) => utimesSync(file, new Date(Date.now() - 60_000), new Date(Date.now() - 60_000))

describe('the lock of a folder', () => {
  test('is one process’s until it gives it back, and leaves nothing behind', async () => {
    const folder = makeFolder()
    const unlock = await lockFolder(folder, never)
    await expect(lockFolder(folder, never)).rejects.toThrow(`another studio uses the database in ${folder}`)
    await unlock()
    await (await lockFolder(folder, never))()
    expect(readdirSync(join(folder, '..'))).toEqual([])
  })

  test.each([
    ['a process that is gone', (file: string) => writeFileSync(file, 'another')],
    ['an earlier studio that is gone', (file: string) => mkdirSync(file)],
  ])('is taken from %s, by one of all that ask', async (_, leave) => {
    const folder = makeFolder()
    leave(`${folder}.lock`)
    age(`${folder}.lock`)
    const taken = await Promise.allSettled(Array.from({ length: 8 }, () => lockFolder(folder, never)))
    const got = taken.filter(({ status }) => status === 'fulfilled') as PromiseFulfilledResult<() => Promise<void>>[]
    expect(got).toHaveLength(1)
    await got[0]?.value()
    expect(readdirSync(join(folder, '..'))).toEqual([])
  })

  test('says when another process has taken it for gone, and leaves that one what it took', async () => {
    const folder = makeFolder()
    let lose = (_error: Error) => {}
    const lost = new Promise<Error>((resolve) => {
      lose = resolve
    })
    const unlock = await lockFolder(folder, lose)
    age(`${folder}.lock`)
    const other = await lockFolder(folder, never)
    onTestFinished(other)
    expect((await lost).message).toContain('is another process’s')
    await unlock()
    expect(existsSync(`${folder}.lock`)).toBe(true)
  })
})
