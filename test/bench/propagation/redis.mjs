import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { publish_document } from 'dynacode/redis'
import { createClient } from 'redis'

/** Starts a redis-server of its own that keeps nothing; undefined where there is none. */
export async function startRedis() {
  if (spawnSync('redis-server', ['--version'], { stdio: 'ignore' }).error) return undefined
  const port = await findPort()
  const server = spawn(
    'redis-server',
    ['--bind', '127.0.0.1', '--port', String(port), '--save', '', '--appendonly', 'no'],
    {
      stdio: 'ignore',
    },
  )
  const client = createClient({ socket: { host: '127.0.0.1', port } })
  client.on('error', () => undefined)
  await client.connect()
  const details = { key: 'plugins', channel: 'plugins' }
  return {
    details: { ...details, redis_port: port },
    publish: (document) => publish_document(client, { ...details, document }),
    async close() {
      client.destroy()
      server.kill()
      await once(server, 'exit')
    },
  }
}

async function findPort() {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const { port } = probe.address()
  probe.close()
  await once(probe, 'close')
  return port
}
