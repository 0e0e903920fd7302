import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { parseDocument } from 'yaml'
import { ROOT } from './pages.ts'

interface Step {
  readonly uses?: string
  readonly run?: string
  readonly env?: Readonly<Record<string, string>>
}

interface Job {
  readonly needs?: string
  readonly 'runs-on': string
  readonly 'timeout-minutes'?: number
  readonly permissions?: Readonly<Record<string, string>>
  readonly steps: readonly Step[]
}

const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
const text = readFileSync(join(ROOT, '.github', 'workflows', 'release.yml'), 'utf8')
const document = parseDocument(text, { uniqueKeys: true })
const workflow = document.toJS() as {
  on: unknown
  permissions: unknown
  jobs: Readonly<Record<string, Job>>
}
const jobs = Object.entries(workflow.jobs)
const runsOf = (name: string) => workflow.jobs[name]?.steps.flatMap(({ run }) => run ?? []) ?? []

describe('the release workflow', () => {
  test('is YAML without faults, and has no keys but those of workflows', () => {
    expect([...document.errors, ...document.warnings]).toEqual([])
    expect(Object.keys(workflow).sort()).toEqual(['jobs', 'name', 'on', 'permissions'])
    const keys = new Set(jobs.flatMap(([, job]) => Object.keys(job)))
    const known = ['environment', 'needs', 'permissions', 'runs-on', 'steps', 'timeout-minutes']
    expect([...keys].filter((key) => !known.includes(key))).toEqual([])
  })

  test('begins with a tag of a version alone, and may only read unless a job asks for more', () => {
    expect(workflow.on).toEqual({ push: { tags: ['v*'] } })
    expect(workflow.permissions).toEqual({ contents: 'read' })
  })

  test.each(jobs)(
    '%s: has a limit of time, and steps that either use a pinned action or run something',
    (_name, job) => {
      expect(job['runs-on']).toBe('ubuntu-latest')
      expect(job['timeout-minutes']).toBeLessThanOrEqual(30)
      for (const { uses, run } of job.steps) {
        expect([uses, run].filter((each) => each !== undefined)).toHaveLength(1)
        if (uses !== undefined) expect(uses).toMatch(/^actions\/[\w-]+@v\d+$/)
      }
    },
  )

  test.each(jobs)('%s: needs jobs that are there, and runs scripts that package.json has', (name, { needs }) => {
    if (needs !== undefined) expect(Object.keys(workflow.jobs)).toContain(needs)
    const called = runsOf(name).flatMap((run) => [...run.matchAll(/npm run ([\w:-]+)/g)].map(([, script]) => script))
    expect(called.filter((script) => scripts[script as string] === undefined)).toEqual([])
  })

  test('publishes with provenance what the checks let by, and says what is in it', () => {
    expect(runsOf('check')).toEqual(expect.arrayContaining(['npm ci', 'npm run check']))
    expect(workflow.jobs.publish).toMatchObject({ needs: 'check', permissions: { 'id-token': 'write' } })
    expect(runsOf('publish').join('\n')).toMatch(/npm sbom .*\n.*npm publish --provenance/)
  })

  test('gives secrets to the steps that need them by their environment, and to no command line', () => {
    expect(jobs.flatMap(([name]) => runsOf(name)).filter((run) => /\$\{\{/.test(run))).toEqual([])
    const given = jobs.flatMap(([, { steps }]) => steps.flatMap(({ env = {} }) => Object.values(env)))
    expect(given.sort()).toEqual([
      expect.stringMatching(/^\$\{\{ github\.token \}\}$/),
      expect.stringMatching(/^\$\{\{ secrets\.NPM_TOKEN \}\}$/),
    ])
  })
})
