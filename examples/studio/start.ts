// Starts the studio, and a demo app with dynacode attached. README.md lists the environment variables.
import './no-debugger.ts'
import { type ChildProcess, fork } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { type Studio, startStudio } from './server/studio.ts'
import { readSettings, type Settings } from './settings.ts'

/** By which the demo app reports. */
const report_token = randomBytes(32).toString('base64url')

async function start(): Promise<void> {
  const settings = await readSettings(process.env)
  // Before anything that takes long: whoever takes a port that is in use shall know at once.
  const server = await listen(settings)
  const address = addressOf(server.address() as AddressInfo)
  const public_url = settings.PUBLIC_URL ?? address
  const studio = await open(settings, public_url).catch((error) => {
    server.close()
    throw error
  })
  server.removeAllListeners('request')
  server.on('request', studio.app.callback())
  const demo = settings.DEMO ? startDemo(address, settings.DEMO_PORT) : undefined

  // Before anything is said: who reads it may end the studio at once.
  let stopping = false
  const stop = async () => {
    stopping = true
    demo?.kill()
    server.close()
    server.closeAllConnections()
    await studio.close()
    process.exit()
  }
  process.once('SIGINT', stop)
  process.once('SIGTERM', stop)

  console.log(`the studio is at ${public_url}/`)
  if (studio.invitation !== undefined) {
    const what = settings.INVITE ? 'create an account' : 'no accounts yet: create the first one'
    console.log(`${what} with this link, which works once:\n  ${public_url}/join#${studio.invitation}`)
  }

  studio.tryLevel().then(
    ({ level, what }) => console.log(`requests are tried on the isolation level “${level}”: in ${what}`),
    (error: Error) => stopping || console.error(error.message),
  )
}

function open(settings: Settings, public_url: string): Promise<Studio> {
  const {
    DATABASE_URL,
    STUDIO_FOLDER,
    GLOBALS,
    PROXY,
    TWO_PERSONS,
    PRIVATE_DOCUMENT,
    INVITE,
    GIT_FOLDER,
    GIT_PUSH,
    TRY_LEVEL,
    WEBHOOK_PRIVATE_HOSTS,
    key,
    oidc,
  } = settings
  return startStudio({
    database: DATABASE_URL === undefined ? { folder: STUDIO_FOLDER } : { url: DATABASE_URL },
    globals: GLOBALS,
    report_token,
    proxy: PROXY,
    two_persons: TWO_PERSONS,
    private_document: PRIVATE_DOCUMENT,
    invite: INVITE,
    public_url,
    webhooks: { private_hosts: WEBHOOK_PRIVATE_HOSTS },
    ...(TRY_LEVEL === undefined ? {} : { try_level: TRY_LEVEL }),
    ...(key === undefined ? {} : { key }),
    ...(oidc === undefined ? {} : { oidc }),
    ...(GIT_FOLDER === undefined ? {} : { git: { folder: GIT_FOLDER, push: GIT_PUSH } }),
  })
}

async function listen({ PORT, HOST }: Settings): Promise<Server> {
  const server = createServer((_request, response) => {
    response.writeHead(503, { 'Retry-After': '1' }).end('the studio is starting\n')
  }).listen(PORT, HOST)
  await once(server, 'listening').catch((error: NodeJS.ErrnoException) => {
    throw error.code === 'EADDRINUSE' ? new Error(`PORT: ${PORT} of ${HOST} is in use; PORT=0 takes a free one`) : error
  })
  return server
}

/** Where this machine finds it. */
function addressOf({ address, family, port }: AddressInfo): string {
  if (address === '0.0.0.0' || address === '::') return `http://127.0.0.1:${port}`
  return `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`
}

function startDemo(address: string, port: number): ChildProcess {
  const env = { ...process.env, STUDIO: address, REPORT_TOKEN: report_token, PORT: String(port) }
  const child = fork(join(import.meta.dirname, 'demo-app.ts'), { env })
  child.on('message', ({ port }: { port: number }) => {
    console.log(`a demo app takes its plugins from the studio: curl -i http://127.0.0.1:${port}/`)
  })
  return child
}

await start().catch((error: Error) => {
  console.error(error.message)
  process.exit(1)
})
