import { randomInt } from 'node:crypto'
import { existsSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Bundle } from './bundle.ts'
import { bubblewrap, unshare } from './namespaces.ts'

/**
 * What is around code that is tried, the strongest first.
 *
 * - `namespaces`: no network, no process and no file but those that it needs; of Linux, by bubblewrap or unshare
 * - `user`: a separate user, that nothing else belongs to; where the studio is root
 * - `process`: a separate process
 *
 * On each of them it has a session of its own, Node's permission model without anything but its own file to read, an empty
 * environment, and an end to its memory and time.
 */
export const LEVELS = ['namespaces', 'user', 'process'] as const
export type Level = (typeof LEVELS)[number]

/** A way to start a child on a level; whether it works on this machine is seen when it is tried. */
export interface Way {
  readonly level: Level
  /** In words, for who starts the studio. */
  readonly what: string
  readonly command: readonly string[]
  /** User and group; undefined: those of the studio. */
  readonly id: number | undefined
}

/** The heap of a child, in megabytes. */
const HEAP_MB = 256
/** All that it may write to, in kilobytes. */
const DATA_KB = 1024 * 1024
/** Of the processor, in seconds. */
const CPU_S = 20

/** Ways that may work here, the strongest first. */
export function listWays(bundle: Bundle): readonly Way[] {
  const own_user = process.getuid?.() === 0 ? [pickUser()] : []
  const inside = permitted('/try/child.mjs')
  const wraps = [bubblewrap(bundle, inside), unshare(bundle, inside)].flatMap((wrap) => wrap ?? [])
  const ways = [...own_user, undefined].flatMap((id) =>
    wraps.map((wrap) => ({ level: 'namespaces' as const, id, ...wrap })),
  )
  const plain = [process.execPath, ...permitted(bundle.file)]
  return [
    ...ways,
    ...own_user.map((id) => ({ level: 'user' as const, what: 'a separate user', command: plain, id })),
    { level: 'process' as const, what: 'a separate process', command: plain, id: undefined },
  ].map((way) => Object.freeze({ ...way, command: limited(way.command) }))
}

/** One that is nobody's: systemd takes users for a while from this range, and nothing else does. */
function pickUser(): number {
  return randomInt(61_184, 65_520)
}

/** What Node is told: to read this file, and nothing besides. */
function permitted(file: string): readonly string[] {
  const [major, minor] = process.versions.node.split('.').map(Number) as [number, number]
  const flag = major > 23 || (major === 23 && minor >= 5) ? '--permission' : '--experimental-permission'
  const read = file.startsWith('/try/') ? file : `${dirname(file)}/*`
  return [flag, `--allow-fs-read=${read}`, '--no-warnings', `--max-old-space-size=${HEAP_MB}`, file]
}

function limited(command: readonly string[]): readonly string[] {
  if (!existsSync('/bin/sh')) return command
  const limits = `ulimit -c 0; ulimit -t ${CPU_S}; ulimit -d ${DATA_KB}; exec "$@"`
  return ['/bin/sh', '-c', limits, 'sh', ...command]
}
