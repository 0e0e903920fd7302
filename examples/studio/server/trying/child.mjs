// Sends one request through the plugins of a document, as standard input says, and prints what became of it. A process of its
// own: what plugins do here, they do not do to the studio.
import { text } from 'node:stream/consumers'
import { run_request } from 'dynacode/tools'

// No permission is needed to send a signal to another process, nor to have its debugger listen: the studio is one.
for (const name of ['kill', '_kill', '_debugProcess', '_debugEnd']) delete process[name]

const given = await text(process.stdin)
const end = given.indexOf('\n')
const { request, now } = JSON.parse(given.slice(0, end))
const document = given.slice(end + 1)
const print = (answer) => process.stdout.write(JSON.stringify(answer), () => process.exit())
try {
  print({ ran: await run_request(document, request, now === undefined ? {} : { now }) })
} catch (error) {
  print({ failed: error instanceof Error ? error.message : String(error), option: error?.option })
}
