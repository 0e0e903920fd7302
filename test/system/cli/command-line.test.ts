import { describe, expect, test } from 'vitest'
import { runCommand } from '../../fixtures/command-process.ts'
import { makeFolder, writeFiles } from '../../fixtures/plugin-folder.ts'

describe('the command, in a process of its own', () => {
  test('shows its version', async () => {
    const { code, stdout } = await runCommand(['--version'])
    expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) })
  })

  test('checks a folder, without colours where there is no terminal', async () => {
    const folder = makeFolder()
    const plugins = [{ name: 'a', phase: 'content', code: 'sayy(1)' }]
    writeFiles(folder, { 'dynacode.json': { domains: [{ name: '^a$', plugins }] } })
    const { code, stdout, stderr } = await runCommand(['check', '.'], { cwd: folder })
    expect({ code, stderr }).toEqual({ code: 1, stderr: '' })
    expect(stdout).toContain('domains[0].plugins[0]:1:1 error unknown-name')
    expect(stdout).not.toContain('\u001b')
  })

  test('shows where an error comes from with --debug alone', async () => {
    const plain = await runCommand(['check', 'nowhere'])
    expect(plain).toMatchObject({ code: 2, stdout: '', stderr: 'error: nowhere: no such file or folder\n' })
    const debugged = await runCommand(['check', 'nowhere', '--debug'])
    expect(debugged.stderr).toMatch(/\n {4}at async readInput \(.*main\.js/)
    expect(debugged.stderr).toContain('caused by Error: ENOENT')
  })
})

test.each([[['chekc']], [['check']], [['check', 'a', 'b']], [['check', 'a', '--no-such-flag']]])(
  '%j is wrong usage: 2',
  async (words) => {
    const { code, stdout, stderr } = await runCommand(words)
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toMatch(/^error: .*\n/)
    expect(stderr).not.toContain('    at ')
  },
)
