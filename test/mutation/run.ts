// Do the tests bite? Changes one thing at a time in a room of lib, and tells which changes none of the room's tests notices.
//   npm run test:mutation                                   so many changes of each room
//   npm run test:mutation -- --room matching --count 50     of one room
//   npm run test:mutation -- --seed 2                       others
//   npm run test:mutation -- --wide                         what survives is tried on whole apps and the guarantees, too
import { spawn } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { type Mutant, mutantsOf } from './mutants.ts'

const ROOT = join(import.meta.dirname, '..', '..')
const ROOMS = ['matching', 'request', 'background/reading', 'background/trust']
const WIDE = ['test/app/', 'test/guarantees/', 'test/options', 'test/program', 'test/tools/', 'test/testing/']
/** A change that hangs the tests is one that they notice. */
const DEADLINE_MS = 240_000

const { values: flags } = parseArgs({
  options: {
    room: { type: 'string', multiple: true, default: ROOMS },
    count: { type: 'string', default: '12' },
    seed: { type: 'string', default: '1' },
    wide: { type: 'boolean', default: false },
  },
})

/** Numbers from 0 to 1, the same for the same seed (mulberry32). */
function createRandom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Some of the changes that can be made to a room, each as likely as any other. */
function sample(room: string, count: number): { file: string; mutant: Mutant }[] {
  const files = readdirSync(join(ROOT, 'lib', room), { recursive: true, encoding: 'utf8' })
    .map((name) => join('lib', room, name))
    .filter((file) => file.endsWith('.ts'))
    .toSorted()
  const all = files.flatMap((file) =>
    mutantsOf(readFileSync(join(ROOT, file), 'utf8')).map((mutant) => ({ file, mutant })),
  )
  const random = createRandom(Number(flags.seed))
  const order = all.map((one) => ({ one, at: random() })).toSorted((a, b) => a.at - b.at)
  return order.slice(0, count).map(({ one }) => one)
}

/** Whether tests of these folders pass with the change. */
async function survives(folders: readonly string[], file?: string, mutant?: Mutant): Promise<boolean> {
  const words = ['run', '--project', 'unit*', '--maxWorkers', '1', '--bail', '1', '--reporter', 'dot', ...folders]
  const child = spawn(process.execPath, [join(ROOT, 'node_modules', 'vitest', 'vitest.mjs'), ...words], {
    cwd: ROOT,
    stdio: 'ignore',
    timeout: DEADLINE_MS,
    killSignal: 'SIGKILL',
    env: { ...process.env, DYNACODE_TEST_MUTANT: file && JSON.stringify({ file: join(ROOT, file), ...mutant }) },
  })
  const code = await new Promise((resolve) => child.once('close', resolve))
  return code === 0
}

const shown = (text: string) => text.replaceAll(/\s+/g, ' ').slice(0, 90)

for (const room of flags.room) {
  const folder = `test/${room}/`
  if (!(await survives([folder]))) throw new Error(`the tests of ${folder} fail as it is: mend them first`)
  const chosen = sample(room, Number(flags.count))
  let killed = 0
  for (const { file, mutant } of chosen) {
    const alive = (await survives([folder], file, mutant)) && !(flags.wide && !(await survives(WIDE, file, mutant)))
    if (!alive) {
      killed += 1
      continue
    }
    const was = readFileSync(join(ROOT, file), 'utf8').slice(mutant.from, mutant.to)
    console.log(`${file}:${mutant.line} survives: ${shown(was)} → ${shown(mutant.text)}`)
  }
  const score = Math.round((killed / chosen.length) * 100)
  console.log(`${room}: ${killed} of ${chosen.length} noticed (${score} %)`)
}
