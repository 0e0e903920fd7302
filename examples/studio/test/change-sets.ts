import type { Test } from 'supertest'
import type { Visitor } from './visitors.ts'

export interface GivenPlugin {
  readonly name: string
  readonly phase: string
  readonly fields: object
}

/** A change set as somebody works in it. */
export type WorkingSet = ReturnType<typeof openSet>

/** Opens a change set of somebody. */
export function openSet({ get, send }: Visitor, id: number) {
  const path = `/api/sets/${id}`
  const keyOf = (domain: string, { name, phase }: { name: string; phase: string }) => ({ domain, name, phase })
  const find = async (domain: string, plugin: { name: string; phase: string }) =>
    (
      await get('/api/plugin')
        .query({ ...keyOf(domain, plugin), set: id })
        .expect(200)
    ).body
  const seen = async () => {
    const { base, revision } = (await get(`${path}/review`).expect(200)).body
    return { base, revision }
  }
  return {
    id,
    path,
    find,
    seen,
    review: async () => (await get(`${path}/review`).expect(200)).body,
    addDomain: (name: string): Test => send('post', `${path}/domains`, { name }),
    add: (domain: string, plugin: GivenPlugin): Test => send('post', `${path}/plugins`, { domain, ...plugin }),
    /** Saves over what is there now. */
    async save(domain: string, plugin: GivenPlugin, more: object = {}): Promise<Test> {
      const { revision } = await find(domain, plugin)
      return send('put', `${path}/plugins`, { key: keyOf(domain, plugin), plugin, revision, ...more })
    },
    async remove(domain: string, plugin: { name: string; phase: string }): Promise<void> {
      const { revision } = await find(domain, plugin)
      await send('delete', `${path}/plugins`, { key: keyOf(domain, plugin), revision }).expect(200)
    },
    publish: async (message: string) => send('post', `${path}/publish`, { message, ...(await seen()) }),
    propose: async (message: string) => send('post', `${path}/propose`, { message, ...(await seen()) }),
    approve: async () => send('post', `${path}/approve`, await seen()),
  }
}

/** Begins one. */
export async function beginSet(visitor: Visitor, name = 'changes'): Promise<WorkingSet> {
  const { body } = await visitor.send('post', '/api/sets', { name }).expect(201)
  return openSet(visitor, body.set)
}

/** Begins one with a document in place of what is live. */
export async function importSet(visitor: Visitor, document: object): Promise<WorkingSet> {
  const { body } = await visitor.send('post', '/api/import', { document }).expect(201)
  return openSet(visitor, body.set)
}
