import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'

/** Runs a file of this folder in a process of its own, and waits for the one thing that it sends. */
export async function runChild(file, args, execArgv = []) {
  const child = fork(join(import.meta.dirname, file), args.map(String), {
    execArgv,
    env: { ...process.env, NODE_ENV: 'production' },
  })
  const exit = once(child, 'exit')
  // What was sent comes before the channel is closed, which may be after the end of the process.
  const ended = once(child, 'disconnect').then(async () => {
    const [code] = await exit
    throw new Error(`${file} ${args.join(' ')} ended with code ${code}`)
  })
  ended.catch(() => undefined)
  const [result] = await Promise.race([once(child, 'message'), ended])
  await exit
  return result
}
