import { existsSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import type { Random } from './random.ts'

/** A number that no process has. */
const NOBODY = 2 ** 22 + 1

/** What can be done to a cache behind the back of those who use it, by name. Each leaves the disk usable in the end. */
export function diskFaults(path: string, random: Random): Readonly<Record<string, () => void | Promise<void>>> {
  const change = (how: (content: Buffer) => Buffer | string) => () => {
    if (existsSync(path)) writeFileSync(path, how(readFileSync(path)), { mode: 0o600 })
  }
  const folder = dirname(path)
  return {
    'the newest file truncated': change((content) => content.subarray(0, random.between(0, content.length))),
    'a bit flipped in the newest file': change((content) => {
      const at = random.between(0, content.length - 1)
      return Buffer.from(content.map((byte, index) => (index === at ? byte ^ 1 : byte)))
    }),
    'the newest file replaced by another': change(() => 'not a cache file\n'),
    'the newest file empty': change(() => ''),
    'the newest file huge': change(() => Buffer.alloc(2_000_000, 'x')),
    'the newest file gone': () => rmSync(path, { force: true }),
    'the generation before gone': () => rmSync(`${path}.previous`, { force: true }),
    'a symbolic link in its place': () => {
      rmSync(path, { force: true })
      symlinkSync('/etc/hostname', path)
      return wait(random.between(50, 300)).then(() => rmSync(path, { force: true }))
    },
    'temporary files left behind': () => writeFileSync(`${path}.${NOBODY}.0123456789ab.tmp`, 'half'),
    'a lock left behind': () => writeFileSync(`${path}.lock`, `${NOBODY} 1 0123456789ab`),
    'a lock that says nothing': () => writeFileSync(`${path}.lock`, ''),
    'a file in place of the folder': async () => {
      renameSync(folder, `${folder}.away`)
      writeFileSync(folder, '')
      await wait(random.between(50, 500))
      rmSync(folder)
      renameSync(`${folder}.away`, folder)
    },
  }
}
