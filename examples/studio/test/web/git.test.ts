import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { addPlugin, checkAccess, describePages, publish, readLive, startVisited } from './browser.ts'

describePages('where a folder in git is the truth', () => {
  const root = mkdtempSync(join(tmpdir(), 'studio-git-pages-'))
  const folder = join(root, 'plugins')
  const git = (...args: string[]) =>
    execFileSync('git', ['-c', 'user.name=Carol', '-c', 'user.email=carol@localhost', ...args], {
      cwd: folder,
      encoding: 'utf8',
    }).trim()
  mkdirSync(folder)
  git('init', '--quiet', '--initial-branch=main')
  writeFileSync(join(folder, 'NOTES.md'), 'ours\n')
  git('add', '--all')
  git('commit', '--quiet', '-m', 'begin')
  const visited = startVisited({ git: { folder, push: false } })
  afterAll(() => rmSync(root, { recursive: true, force: true }))

  beforeAll(async () => {
    const { ada } = visited
    await addPlugin(ada, "ctx.set('X-A', '1')")
  })
  const commit = (code: string) => {
    writeFileSync(join(folder, 'cors.js'), code)
    git('commit', '--quiet', '--all', '-m', 'by hand')
  }

  test('the page says which commit is which version, and brings one in at once', async () => {
    const { ada, base } = visited
    await publish(ada, 'CORS for the shop')
    expect(git('log', '-1', '--format=%an %s')).toBe('ada CORS for the shop')
    await ada.goto(`${base}/document`)
    await ada.getByText(/^Commit [0-9a-f]{10} is version 1\.$/).waitFor()
    await checkAccess(ada)
    commit("ctx.set('X-A', '2')\n")
    await ada.getByRole('button', { name: 'Check for new commits' }).click()
    await ada.getByText(/^Commit [0-9a-f]{10} is version 2\.$/).waitFor()
    expect((await readLive(ada)).domains[0].plugins[0].code).toBe("ctx.set('X-A', '2')\n")
  })

  test('it says why a commit is not live, and which files were not committed; the review says so too', async () => {
    const { ada, base } = visited
    commit("ctx.set('X-A', '3'\n")
    await ada.goto(`${base}/document`)
    await ada.getByRole('button', { name: 'Check for new commits' }).click()
    await ada.getByText(/^It is not live:/).waitFor()
    await ada.getByText('the code ends with a bracket or brace too many or too few').waitFor()
    expect((await readLive(ada)).general.version).toBe(2)
    commit("ctx.set('X-A', '3')\n")
    writeFileSync(join(folder, 'cors.js'), 'half')
    await ada.getByRole('button', { name: 'Check for new commits' }).click()
    await ada.getByText('1 file has uncommitted changes. Commit or discard it before you publish.').waitFor()
    await ada.getByText('cors.js').waitFor()
    await checkAccess(ada)
    await ada.goto(`${base}/changes`)
    await ada.getByText('The folder in git: 1 file has uncommitted changes.').waitFor()
  })
})
