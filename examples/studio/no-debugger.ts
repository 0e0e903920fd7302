// Imported before everything else: from here on, no signal opens a debugger, from whoever it comes.

/** Of Node.js 22.14 and 23.7 on. Older ones are told below, once they have come here. */
const SWITCH = '--disable-sigusr1'

// What runs is replaced by itself, with the switch: a process beside it that only starts it would have a debugger of its own.
const { execve } = process as { execve?(file: string, args: readonly string[], env: NodeJS.ProcessEnv): never }
if (process.allowedNodeEnvironmentFlags.has(SWITCH) && !process.execArgv.includes(SWITCH)) {
  execve?.call(
    process,
    process.execPath,
    [process.execPath, SWITCH, ...process.execArgv, ...process.argv.slice(1)],
    process.env,
  )
}

// With a handler of its own, Node opens none either.
process.on('SIGUSR1', () => console.error('SIGUSR1: the studio has no debugger'))
