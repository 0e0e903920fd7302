import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openQuarantine } from '../../../lib/request/guard/quarantine.ts'

const SHA1 = 'a'.repeat(40)
const SUSPECT = { sha1: SHA1, plugin: 'spinner', at: 1 }
const ENTRY = { ...SUSPECT, reason: 'stuck' }
/** A number that no process has. */
const GONE = 2 ** 22 + 1

let outside: string
let folder: string
beforeEach(() => {
  outside = mkdtempSync(join(tmpdir(), 'dynacode-quarantine-'))
  folder = join(outside, 'quarantine')
  mkdirSync(folder, { mode: 0o700 })
})
afterEach(() => rmSync(outside, { recursive: true, force: true }))

const put = (name: string, content: unknown) =>
  writeFileSync(join(folder, name), typeof content === 'string' ? content : JSON.stringify(content))

function open() {
  const failures: string[] = []
  const quarantine = openQuarantine(folder, (error) => failures.push((error as Error).message))
  return { quarantine, failures }
}

test('what a process was running when it died is in quarantine from then on', () => {
  put(`running-${GONE}.json`, SUSPECT)
  const { quarantine, failures } = open()
  expect(failures).toEqual([])
  expect(quarantine.isSafe).toBe(true)
  expect(quarantine.check(SHA1)?.message).toMatch(/^plugin "spinner" is in quarantine: it was running/)
  expect(readdirSync(folder)).toEqual([`${SHA1}.json`])
  expect(open().quarantine.check(SHA1)).toMatchObject({ code: 'ERR_DYNACODE_QUARANTINED' })
})

describe('a file that somebody planted', () => {
  test.each([
    ['a path for a hash', { ...SUSPECT, sha1: '../victim' }, /sha1: expected a SHA-1 in hex, got "\.\.\/victim"/],
    ['no hash', { ...SUSPECT, sha1: undefined }, /sha1: expected a string, got nothing/],
    ['a name that is none', { ...SUSPECT, plugin: { toJSON: 1 } }, /plugin: expected a string, got an object/],
    ['no JSON', '{', /JSON/],
    ['null', 'null', /expected an object, got null/],
    ['far more than an entry has', JSON.stringify({ ...SUSPECT, plugin: 'x'.repeat(70_000) }), /expected an object/],
  ])('with %s is told of, and brings nothing about', (_, content, message) => {
    put(`running-${GONE}.json`, content)
    const { failures } = open()
    expect(failures).toEqual([expect.stringMatching(message)])
    expect(readdirSync(outside)).toEqual(['quarantine'])
    expect(readdirSync(folder)).toEqual([`running-${GONE}.json`])
  })

  test.each([
    ['another hash inside', { ...ENTRY, sha1: 'b'.repeat(40) }, /is about other code; it is not used$/],
    ['a reason that there is not', { ...ENTRY, reason: 'ugly' }, /reason: expected one of "stuck", "died", got "ugly"/],
    ['no reason', SUSPECT, /reason: expected/],
  ])('as an entry, with %s, is no entry', (_, content, message) => {
    put(`${SHA1}.json`, content)
    const { quarantine, failures } = open()
    expect(failures).toEqual([expect.stringMatching(message)])
    expect(quarantine.check(SHA1)).toBeUndefined()
  })

  test('that is a link is not read, nor written through', () => {
    const victim = join(outside, 'victim')
    writeFileSync(victim, JSON.stringify(ENTRY))
    symlinkSync(victim, join(folder, `${'c'.repeat(40)}.json`))
    symlinkSync(victim, join(folder, `${SHA1}.json`))
    symlinkSync(victim, join(folder, `${SHA1}.json.${process.pid}.tmp`))
    put(`running-${GONE}.json`, SUSPECT)
    const { quarantine, failures } = open()
    expect(failures).toEqual([expect.stringMatching(/c{40}\.json is a symbolic link; it is not used$/)])
    expect(quarantine.check(SHA1)?.message).toContain('was running when the process died')
    expect(JSON.parse(readFileSync(victim, 'utf8'))).toEqual(ENTRY)
  })

  test('that everybody may write to is not read', () => {
    put(`${SHA1}.json`, ENTRY)
    chmodSync(join(folder, `${SHA1}.json`), 0o666)
    const { quarantine, failures } = open()
    expect(failures).toEqual([expect.stringMatching(/is writable by everybody \(mode 0666\); it is not used$/)])
    expect(quarantine.check(SHA1)).toBeUndefined()
  })
})

test('a folder that everybody may write to is not used, unless it is sticky', () => {
  put(`${SHA1}.json`, ENTRY)
  chmodSync(folder, 0o777)
  const { quarantine, failures } = open()
  expect(quarantine.isSafe).toBe(false)
  expect(failures).toEqual([
    expect.stringMatching(/^the quarantine's folder .* is writable by everybody and not sticky/),
  ])
  expect(quarantine.check(SHA1)).toBeUndefined()
  quarantine.add({ ...ENTRY, reason: 'stuck' })
  expect(quarantine.check(SHA1)).toBeDefined()
  chmodSync(folder, 0o1777)
  expect(open().quarantine.check(SHA1)).toBeDefined()
})

test('a folder that is a file is told of, and nothing else happens', () => {
  rmSync(folder, { recursive: true })
  writeFileSync(folder, '')
  const { quarantine, failures } = open()
  expect(quarantine.isSafe).toBe(false)
  expect(failures).toHaveLength(1)
  expect(existsSync(folder)).toBe(true)
})

test.runIf(process.platform === 'linux')('a folder in /proc, which takes none, is told of', () => {
  folder = '/proc/dynacode/quarantine'
  const { quarantine, failures } = open()
  expect(quarantine.isSafe).toBe(false)
  expect(failures).toEqual([expect.stringContaining('ENOENT')])
})
