import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { monitorEventLoopDelay, performance } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { dynacode } from 'dynacode'
import Koa from 'koa'
import { startLoad } from './load.mjs'

const IDLE_MS = 2000

/**
 * Reloads many plugins in this process while requests come in, and measures what of it can be felt: of each reload its wall
 * time, the time of the main thread (requests included), the longest stall of the event loop, and what requests took.
 *
 * @param count plugins, each in a domain of its own
 * @param size bytes of code of each
 * @param cached whether documents are written to a cache, too
 */
export async function measureReloads({ count, size, cached = false }) {
  const documents = createDocuments(count, size)
  const folder = mkdtempSync(join(tmpdir(), 'dynacode-bench-'))
  let served = { bytes: Buffer.from('{"domains":[]}'), tag: 'none' }
  const source = {
    fetch: async (_signal, last) => (served.tag !== undefined && served.tag === last ? { unchanged: true } : served),
  }
  const cache = cached ? { cache_path: join(folder, 'cache') } : {}
  const dyna = dynacode({ source, plugin_api_polling_interval: 86_400, ...cache })
  const app = new Koa().use(dyna).use((ctx) => {
    ctx.body = 'hello'
  })
  const server = app.listen(0, '127.0.0.1')
  await once(server, 'listening')
  await dyna.ready()
  const load = startLoad(server.address().port)

  async function measure(reload, action) {
    await sleep(500)
    await load.take()
    const delay = monitorEventLoopDelay({ resolution: 1 })
    delay.enable()
    const before = performance.eventLoopUtilization()
    const started = performance.now()
    const result = await action()
    const wall_ms = performance.now() - started
    const { active: main_thread_ms } = performance.eventLoopUtilization(before)
    const requests_ms = await load.take()
    await sleep(5)
    delay.disable()
    const { compiled = 0, reused = 0 } = result ?? {}
    return { reload, wall_ms, main_thread_ms, stall_ms: delay.max / 1e6, requests_ms, compiled, reused }
  }
  const refresh = (name, next) =>
    measure(name, () => {
      served = next
      return dyna.refresh()
    })

  try {
    return {
      bytes: documents.first.length,
      reloads: [
        await measure('none: requests alone', () => sleep(IDLE_MS)),
        await refresh('first load', { bytes: documents.first, tag: 'first' }),
        await refresh('no change, by its ETag', { bytes: documents.first, tag: 'first' }),
        await refresh('no change, the same bytes', { bytes: documents.first, tag: undefined }),
        await refresh('one changed', { bytes: documents.one, tag: 'one' }),
        await refresh('all changed', { bytes: documents.all, tag: 'all' }),
      ],
    }
  } finally {
    await load.stop()
    server.close()
    server.closeAllConnections()
    await dyna.close()
    rmSync(folder, { recursive: true, force: true })
  }
}

/** A document of so many plugins of so many bytes, as it is first, with one that changed, and with all of them changed. */
export function createDocuments(count, size) {
  const documentOf = (versionOf) => {
    const domains = Array.from({ length: count }, (_, index) => ({
      name: `host${index}.example.com`,
      plugins: [{ name: `p${index}`, phase: 'access', code: codeOf(index, versionOf(index), size) }],
    }))
    return Buffer.from(JSON.stringify({ domains }))
  }
  return {
    first: documentOf(() => 0),
    one: documentOf((index) => (index === Math.floor(count / 2) ? 1 : 0)),
    all: documentOf(() => 2),
  }
}

/** Distinct code of about so many bytes. */
function codeOf(index, version, size) {
  const line = `if (ctx.get('x-a') === 'v${index}') ctx.state.v = params.limit\n`
  const first = `ctx.set('x-plugin', '${index} ${version}')\n`
  return first + line.repeat(Math.max(0, Math.round((size - first.length) / line.length)))
}
