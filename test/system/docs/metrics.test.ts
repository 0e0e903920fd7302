import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { ROOT, readDocsPage } from '../../docs/pages.ts'
import { hasProgram } from '../../fixtures/services.ts'

const EXAMPLE = join(ROOT, 'examples', 'prometheus')
const page = readDocsPage('metrics')
const dashboard = JSON.parse(readFileSync(join(EXAMPLE, 'dashboard.json'), 'utf8')) as {
  panels: { title: string; description: string; targets: { expr: string }[] }[]
}
const expressions = dashboard.panels.flatMap(({ targets }) => targets.map(({ expr }) => expr))

describe.runIf(hasProgram('promtool'))('Prometheus', () => {
  const promtool = (...args: string[]) => {
    const { status, stdout, stderr } = spawnSync('promtool', args, { encoding: 'utf8' })
    return { status, said: status === 0 ? '' : stdout + stderr }
  }
  const FINE = { status: 0, said: '' }

  test('takes the configuration and the alerts', () => {
    expect(promtool('check', 'config', join(EXAMPLE, 'prometheus.yml'))).toEqual(FINE)
    expect(promtool('check', 'rules', join(EXAMPLE, 'alerts.yml'))).toEqual(FINE)
  })

  test('raises each alert when it should, and not before', () => {
    expect(promtool('test', 'rules', join(EXAMPLE, 'alerts.test.yml'))).toEqual(FINE)
  })

  test('understands every query of the dashboard and of the page', () => {
    const folder = mkdtempSync(join(tmpdir(), 'dynacode-rules-'))
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
    const queries = [...expressions, ...page.blocks.filter(({ lang }) => lang === 'text').map(({ text }) => text)]
    const rules = queries.map((query, index) => ({
      record: `query:${index}`,
      expr: query.replaceAll('$__rate_interval', '1m').replaceAll(/\$(job|instance)/g, '.*'),
    }))
    // JSON is YAML.
    writeFileSync(join(folder, 'rules.json'), JSON.stringify({ groups: [{ name: 'queries', rules }] }))
    expect(promtool('check', 'rules', join(folder, 'rules.json'))).toEqual(FINE)
  })
})
