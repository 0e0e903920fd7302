import { createHash } from 'node:crypto'
import { readFileSync, readlinkSync } from 'node:fs'
import { hostname } from 'node:os'

/** Tells a process from any other, also from one that has its number later or in another container. */
export interface ProcessIdentity {
  readonly pid: number
  /** When it was started, as the system counts; undefined where /proc does not say. */
  readonly started: string | undefined
  /** Where its number means something: one boot of one machine, and one container of it. */
  readonly machine: string
}

export function identifyThisProcess(): ProcessIdentity {
  const places = [
    hostname(),
    readIf(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8')),
    readIf(() => readlinkSync('/proc/self/ns/pid')),
  ]
  const machine = createHash('sha1').update(places.join('\n')).digest('hex').slice(0, 8)
  return Object.freeze({ pid: process.pid, started: statusOf(process.pid)?.started, machine })
}

/** Whether a process is known to be over. Of another machine's nothing is known. */
export function isGone({ pid, started, machine }: ProcessIdentity, here: ProcessIdentity): boolean {
  if (machine !== here.machine) return false
  try {
    process.kill(pid, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH'
  }
  const status = statusOf(pid)
  if (status === undefined) return false
  // A process that was killed keeps its number until its parent looks after it, which some parents never do.
  return 'ZX'.includes(status.state) || (started !== undefined && status.started !== started)
}

/** Fields 3 and 22 of /proc/<pid>/stat; see proc_pid_stat(5). The name before them may hold spaces and parentheses. */
function statusOf(pid: number): { state: string; started: string } | undefined {
  const text = readIf(() => readFileSync(`/proc/${pid}/stat`, 'utf8'))
  const fields = text?.slice(text.lastIndexOf(')') + 2).split(' ')
  const [state, started] = [fields?.[0], fields?.[19]]
  return state === undefined || started === undefined ? undefined : { state, started }
}

function readIf(read: () => string): string | undefined {
  try {
    return read()
  } catch {
    return undefined
  }
}
