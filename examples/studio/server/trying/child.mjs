// Sends one request through the plugins of a document, as standard input says, and prints what became of it. bundle.ts makes one
// file of this and all that it needs; levels.ts says what is around the process. Nothing here keeps anything away from the
// code that is tried: it could undo it.
import { text } from 'node:stream/consumers'
import { run_request } from 'dynacode/tools'
import { createFetch } from './answered-fetch.mjs'

// On the least level nothing else hinders a signal to the studio.
for (const name of ['kill', '_kill', '_debugProcess', '_debugEnd']) delete process[name]
// Of bubblewrap.
delete process.env.PWD

const given = await text(process.stdin)
const end = given.indexOf('\n')
const { request, now, answers } = JSON.parse(given.slice(0, end))
const document = given.slice(end + 1)
globalThis.fetch = createFetch(answers ?? [])
const print = (answer) => process.stdout.write(JSON.stringify(answer), () => process.exit())
try {
  print({ ran: await run_request(document, request, now === undefined ? {} : { now }) })
} catch (error) {
  print({ failed: error instanceof Error ? error.message : String(error), option: error?.option })
}
