// What both processes of the quick start share: a port, and an end.
import { once } from 'node:events'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'

/** Only this machine gets in. */
const HOST = '127.0.0.1'

/**
 * Serves on the port, or on a free one if that can't be had, until the launcher or a signal ends it.
 *
 * @param close what is to be ended beside the server
 */
export async function serve(listener: RequestListener, port: string, close?: () => Promise<void>): Promise<void> {
  const server = createServer(listener)
  try {
    await listen(server, readPort(port))
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (code !== 'EADDRINUSE' && code !== 'EACCES') {
      console.error(message)
      process.exit(1)
    }
    await listen(server, 0)
    console.error(`port ${port} ${code === 'EACCES' ? 'is not allowed' : 'is taken'}, using ${portOf(server)} instead`)
  }

  const stop = () => {
    server.close()
    server.closeAllConnections()
    close?.()
    if (process.connected) process.disconnect()
  }
  process.on('SIGTERM', stop)
  if (process.send === undefined) {
    process.on('SIGINT', stop)
    console.log(`listening on http://${HOST}:${portOf(server)}/`)
    return
  }
  // Ctrl-C reaches every process of the terminal, but it is the launcher that says when to stop.
  process.on('SIGINT', () => undefined)
  process.on('disconnect', stop)
  if (process.connected) process.send({ port: portOf(server) })
  else stop()
}

async function listen(server: Server, port: number): Promise<void> {
  server.listen(port, HOST)
  await once(server, 'listening')
}

function portOf(server: Server): number {
  return (server.address() as AddressInfo).port
}

function readPort(text: string): number {
  const port = Number(text)
  if (text.trim() !== '' && Number.isInteger(port) && port >= 0 && port <= 65_535) return port
  throw new Error(`expected a port from 0 to 65535, got ${JSON.stringify(text)}`)
}
