import { execFileSync } from 'node:child_process'
import { accessSync, constants, realpathSync } from 'node:fs'
import { join } from 'node:path'
import type { Bundle } from './bundle.ts'

/** A command, and how it is called in words. */
interface Wrap {
  readonly what: string
  readonly command: readonly string[]
}

const NODE = '/try/node'

/** A child in namespaces made by bubblewrap; undefined where it is not installed. @param given what Node is given */
export function bubblewrap(bundle: Bundle, given: readonly string[]): Wrap | undefined {
  const program = findProgram('bwrap')
  if (program === undefined || process.platform !== 'linux') return undefined
  const files = [
    [realpathSync(process.execPath), NODE],
    [bundle.file, '/try/child.mjs'],
    ...librariesOf(process.execPath),
  ]
  return {
    what: 'separate namespaces (bubblewrap)',
    command: [
      program,
      '--unshare-all',
      '--die-with-parent',
      '--new-session',
      ...['--cap-drop', 'ALL'],
      ...files.flatMap(([from, to]) => ['--ro-bind', from as string, to as string]),
      ...['--proc', '/proc', '--dev', '/dev', '--chdir', '/', '--', NODE],
      ...given,
    ],
  }
}

const TOOLS = ['unshare', 'mount', 'pivot_root', 'umount', 'setpriv'] as const

/** The same by what every Linux has (util-linux); undefined where something of it is missing. */
export function unshare(bundle: Bundle, given: readonly string[]): Wrap | undefined {
  const tools = Object.fromEntries(TOOLS.map((name) => [name, findProgram(name)])) as Record<string, string>
  if (process.platform !== 'linux' || Object.values(tools).includes(undefined as never)) return undefined
  const { umount, setpriv } = tools as Record<(typeof TOOLS)[number], string>
  const files = [
    [realpathSync(process.execPath), NODE],
    [bundle.file, '/try/child.mjs'],
    [umount, '/try/umount'],
    [setpriv, '/try/setpriv'],
    ...[process.execPath, umount, setpriv].flatMap(librariesOf),
  ]
  const binds = [...new Map(files.map(([from, to]) => [to, from]))].flatMap(([to, from]) => [from, to] as string[])
  return {
    what: 'separate namespaces (unshare)',
    command: [
      tools.unshare as string,
      ...['--user', '--map-root-user', '--mount', '--net', '--ipc', '--uts', '--cgroup', '--pid', '--fork'],
      '--kill-child=KILL',
      ...['/bin/sh', '-c', MOVE_IN, 'sh', bundle.root, ...binds, '--', NODE, ...given],
    ],
  }
}

/** Makes a root of what was named, moves into it, gives up every right, and goes on as Node. */
const MOVE_IN = `set -e
PATH=/usr/sbin:/usr/bin:/sbin:/bin
mount -t tmpfs -o size=1m,mode=755,nosuid,nodev studio "$1"
cd "$1"
shift
while [ "$1" != -- ]; do
  mkdir -p ".\${2%/*}"
  : > ".$2"
  mount --bind "$1" ".$2"
  mount -o remount,bind,ro ".$2" 2> /dev/null || mount -o remount,bind,ro,nosuid,nodev ".$2"
  shift 2
done
shift
mkdir proc old
mount -t proc proc proc 2> /dev/null || :
pivot_root . old
/try/umount -l /old
unset PATH PWD OLDPWD
exec /try/setpriv --no-new-privs --bounding-set=-all --inh-caps=-all --ambient-caps=-all -- "$@"`

/** Folders in which programs of the machine are, whatever the studio's own PATH says. */
const FOLDERS = ['/usr/bin', '/usr/sbin', '/bin', '/sbin', '/usr/local/bin', '/run/current-system/sw/bin']

function findProgram(name: string): string | undefined {
  return FOLDERS.map((folder) => join(folder, name)).find((file) => {
    try {
      accessSync(file, constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}

/** Libraries that a program is linked to: where each is, and where it is looked for. */
function librariesOf(program: string): readonly (readonly [string, string])[] {
  try {
    const said = execFileSync('ldd', [program], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
    return (said.match(/(?<=\s)\/\S+/g) ?? []).map((file) => [realpathSync(file), file])
  } catch {
    // Linked to nothing.
    return []
  }
}
