// Starts the studio, and a demo app with dynacode attached.
// Environment: PORT (4000; 0: a free one), DATABASE_URL (a PostgreSQL; else an embedded one in STUDIO_FOLDER, .studio),
// PUBLIC_URL (as browsers see it), SIGNING_KEY (file of a private key), GLOBALS (the apps' own names, by commas), PROXY=1, TWO_PERSONS=1,
// PRIVATE_DOCUMENT=1 (the document is for who has a token), INVITE=1 (a link for one more publisher is printed),
// DEMO=0 (no demo app), DEMO_PORT (3000; 0: a free one).
import { type ChildProcess, fork } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { startStudio } from './server/studio.ts'

const { PORT = '4000', DATABASE_URL, STUDIO_FOLDER = '.studio', PUBLIC_URL, SIGNING_KEY, GLOBALS = '' } = process.env
const report_token = randomBytes(32).toString('base64url')

const studio = await startStudio({
  database: DATABASE_URL === undefined ? { folder: STUDIO_FOLDER } : { url: DATABASE_URL },
  globals: GLOBALS.split(',').filter((name) => name !== ''),
  report_token,
  proxy: process.env.PROXY === '1',
  two_persons: process.env.TWO_PERSONS === '1',
  private_document: process.env.PRIVATE_DOCUMENT === '1',
  invite: process.env.INVITE === '1',
  ...(SIGNING_KEY === undefined ? {} : { key: JSON.parse(readFileSync(SIGNING_KEY, 'utf8')) }),
}).catch((error: Error) => {
  console.error(error.message)
  process.exit(1)
})
const server = createServer(studio.app.callback()).listen(Number(PORT), '127.0.0.1')
await once(server, 'listening').catch((error: Error) => {
  console.error(error.message)
  process.exit(1)
})
const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
const public_url = PUBLIC_URL ?? address
const demo = process.env.DEMO === '0' ? undefined : startDemo()

console.log(`the studio is at ${public_url}/`)
if (studio.invitation !== undefined) {
  const why = process.env.INVITE === '1' ? 'an account' : 'nobody has an account yet; the first one'
  console.log(`${why} is made here, once:\n  ${public_url}/join#${studio.invitation}`)
}

function startDemo(): ChildProcess {
  const env = { ...process.env, STUDIO: address, REPORT_TOKEN: report_token, PORT: process.env.DEMO_PORT ?? '3000' }
  const child = fork(join(import.meta.dirname, 'demo-app.ts'), { env })
  child.on('message', ({ port }: { port: number }) => {
    console.log(`a demo app takes its plugins from the studio: curl -i http://127.0.0.1:${port}/`)
  })
  return child
}

async function stop(): Promise<void> {
  demo?.kill()
  server.close()
  server.closeAllConnections()
  await studio.close()
  process.exit()
}
process.once('SIGINT', stop)
process.once('SIGTERM', stop)
