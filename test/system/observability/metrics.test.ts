import { spawnSync } from 'node:child_process'
import { createServer } from 'node:http'
import { Registry, register } from 'prom-client'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { collect } from '../../../lib/observability/metrics/index.ts'
import { METRICS } from '../../../lib/observability/metrics/table.ts'
import { createApp, listen, type PluginFields, startApp } from '../../fixtures/app.ts'
import { hasProgram, startPrometheus } from '../../fixtures/services.ts'

afterEach(() => register.clear())

const EXIT: PluginFields = { name: 'wall', phase: 'access', code: `if (ctx.path === '/wall') exit(403)` }
const FAILS: PluginFields = { name: 'fails', phase: 'access', code: `if (ctx.path === '/fail') throw new Error('no')` }
const CLOSED: PluginFields = {
  name: 'closed',
  phase: 'access',
  on_failure: 'closed',
  code: `if (ctx.path === '/closed') throw new Error('no')`,
}
const SHADOW: PluginFields = { name: 'shadow', phase: 'access', mode: 'shadow', code: 'exit(403)' }
const BROKEN: PluginFields = { name: 'broken', phase: 'access', code: '(' }

async function startCollected(options: Parameters<typeof collect>[1] = {}, ...plugins: PluginFields[]) {
  const app = await startApp({ plugins, options: { breaker_failures: 2 } })
  const own = new Registry()
  const stop = collect(app.dyna, { register: own, ...options })
  return { ...app, own, stop }
}

describe.runIf(hasProgram('promtool'))('Prometheus itself', () => {
  test('finds nothing to say about names, types and texts', async () => {
    const { request, own } = await startCollected({}, EXIT, FAILS, CLOSED, SHADOW, BROKEN)
    for (const path of ['/', '/wall', '/fail', '/fail', '/closed']) await request.get(path)
    const { status, stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], {
      input: await own.metrics(),
      encoding: 'utf8',
    })
    expect({ status, said: stdout + stderr }).toEqual({ status: 0, said: '' })
  })

  test('scrapes every metric, and answers what is asked on call', async () => {
    const { request, own } = await startCollected({}, EXIT, FAILS, SHADOW)
    for (const path of ['/', '/wall', '/fail', '/fail']) await request.get(path)
    const { app } = createApp([
      async (ctx) => {
        ctx.type = own.contentType
        ctx.body = await own.metrics()
      },
    ])
    const port = await listen(createServer(app.callback()))
    const prometheus = await startPrometheus(
      JSON.stringify({
        scrape_configs: [
          {
            job_name: 'app',
            scrape_interval: '200ms',
            scrape_timeout: '200ms',
            static_configs: [{ targets: [`127.0.0.1:${port}`] }],
          },
        ],
      }),
    )
    const ask = async (query: string) => {
      const uri = `http://127.0.0.1:${prometheus.port}/api/v1/query?query=${encodeURIComponent(query)}`
      const answer = (await (await fetch(uri)).json()) as {
        data: { result: { metric: Record<string, string>; value: [number, string] }[] }
      }
      return answer.data.result.map(({ metric, value }) => [metric, Number(value[1])] as const)
    }
    await vi.waitFor(async () => expect(await ask('up == 1')).toHaveLength(1), { timeout: 60_000, interval: 100 })
    const names = await ask('count by (__name__) ({__name__=~"dynacode_.+"})')
    const scraped = new Set(names.map(([{ __name__ }]) => __name__?.replace(/_(bucket|sum|count)$/, '')))
    // There was no error beside the plugins, no rollout that stopped itself, and no candidate document.
    const absent = [
      'dynacode_errors_total',
      'dynacode_plugin_rollout_stopped',
      'dynacode_canary_percent',
      'dynacode_canary_stopped',
    ]
    const expected = METRICS.map(({ name }) => `dynacode_${name}`).filter((name) => !absent.includes(name))
    expect([...scraped].sort()).toEqual(expected.sort())
    expect(await ask('sum by (plugin) (dynacode_plugin_duration_seconds_count{outcome="open"})')).toEqual([
      [{ plugin: 'fails' }, 2],
    ])
    expect(await ask('dynacode_document_attempted_info unless on (instance, version) dynacode_document_info')).toEqual(
      [],
    )
    const [[, median] = []] = await ask(
      'histogram_quantile(0.5, sum by (le) (dynacode_plugin_duration_seconds_bucket{plugin="wall",outcome="done"}))',
    )
    expect(median).toBeGreaterThan(0)
    expect(median).toBeLessThan(0.25)
  })
})
