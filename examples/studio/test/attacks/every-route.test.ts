import fc from 'fast-check'
import supertest from 'supertest'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { IN_MEMORY } from '../databases.ts'
import { createVisitor, type Running, runStudio } from '../visitors.ts'

const PASSWORD = 'correct horse battery'

interface Operation {
  readonly parameters?: readonly { readonly name: string; readonly in: 'path' | 'query' }[]
  readonly requestBody?: { readonly content: { readonly 'application/json': { readonly schema: Schema } } }
}
interface Schema {
  readonly properties?: Readonly<Record<string, Schema>>
  readonly required?: readonly string[]
}

/** What is neither a number that there is, nor a name. */
const ODD = [
  '0',
  '-1',
  '1e400',
  '2147483648',
  '9007199254740993',
  'NaN',
  'null',
  '%00',
  '%ff',
  '..%2f..',
  'é',
  ' ',
  '[]',
]
const values = fc.oneof(
  fc.constantFrom<unknown>(
    0,
    -1,
    1e300,
    2 ** 31,
    '',
    '\0',
    '\ud800',
    '__proto__',
    [],
    {},
    null,
    true,
    'a'.repeat(5000),
  ),
  fc.jsonValue({ maxDepth: 3 }),
)

describe('every route', () => {
  let running: Running
  const secrets: Record<string, string> = {}
  const ada = createVisitor(() => running.server)
  let routes: { method: 'get'; path: string; operation: Operation }[] = []
  beforeAll(async () => {
    running = await runStudio({ database: IN_MEMORY, two_persons: true })
    await ada.sign('/api/accounts', { invitation: running.studio.invitation, name: 'Ada', password: PASSWORD })
    for (const role of ['reporter', 'viewer', 'author', 'publisher']) {
      secrets[role] = (await ada.post('/api/tokens', { name: role, role }).expect(201)).body.secret
    }
    const { body } = await ada.get('/api/openapi.json').expect(200)
    routes = Object.entries(body.paths as Record<string, Record<string, Operation>>).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]) => ({ method: method as 'get', path, operation })),
    )
  })
  afterAll(async () => {
    await running.close()
    // What nobody foresaw, in whichever answer it was.
    expect(running.failures).toEqual([])
  })

  const ask = (role: string, method: 'get', path: string) => {
    const test = supertest(running.server)[method](path)
    return role === 'stranger' ? test : test.set('Authorization', `Bearer ${secrets[role]}`)
  }
  /** A stream goes on, and who has too much checked has to come again. */
  const isFine = (status: number) => status < 500 || status === 503

  test('G56 everybody | every route | says no, and never fails, for odd addresses', { timeout: 120_000 }, async ({
    task,
  }) => {
    expect(routes.length).toBeGreaterThan(40)
    let count = 0
    for (const { method, path, operation } of routes) {
      const [inside, behind] = (['path', 'query'] as const).map((kind) =>
        (operation.parameters ?? []).filter((parameter) => parameter.in === kind).map(({ name }) => name),
      ) as [string[], string[]]
      if (path.endsWith('/events')) continue
      for (const odd of inside.length + behind.length > 0 ? ODD : []) {
        const address =
          path.replace(/\{\w+\}/g, odd) +
          (behind.length > 0 ? `?${behind.map((name) => `${name}=${odd}`).join('&')}` : '')
        for (const role of ['stranger', 'publisher']) {
          count += 1
          const { status, text } = await ask(role, method, address)
          expect.soft(isFine(status), `${role} ${method} ${address}: ${status} ${text}`).toBe(true)
          if (role === 'stranger') expect.soft(status, address).toBeGreaterThanOrEqual(400)
        }
      }
    }
    task.meta.attacks = count
  })

  test('G56 everybody | every route | says no, and never fails, for odd requests', { timeout: 120_000 }, async ({
    task,
  }) => {
    const asked = routes.filter(({ operation }) => operation.requestBody !== undefined)
    let count = 0
    for (const { method, path, operation } of asked) {
      const schema = operation.requestBody?.content['application/json'].schema
      const fields = Object.fromEntries(Object.keys(schema?.properties ?? {}).map((name) => [name, values]))
      const body = fc.oneof(values, fc.record(fields, { requiredKeys: [] }))
      for (const given of fc.sample(body, { numRuns: 12, seed: 23 })) {
        for (const role of ['stranger', 'reporter', 'publisher']) {
          count += 1
          const { status, text } = await ask(role, method, path.replace(/\{\w+\}/g, '1'))
            .type('json')
            .send(JSON.stringify(given) as string)
          const what = `${role} ${method} ${path} ${JSON.stringify(given)?.slice(0, 200)}`
          expect.soft(isFine(status), `${what}: ${status} ${text}`).toBe(true)
        }
      }
    }
    task.meta.attacks = count
  })
})
