import type { AddressInfo } from 'node:net'
import type { StudioOptions } from '../server/studio.ts'
import { createVisitor, type Running, runStudio as runEmptyStudio, type Visitor } from './visitors.ts'

export type { Visitor } from './visitors.ts'

/** A studio that listens, and its first publisher, who is signed in. */
export interface RunningStudio extends Running {
  readonly address: string
  readonly ada: Visitor
}

/** Starts a studio on a free port, with an account. */
export async function runStudio(options: StudioOptions): Promise<RunningStudio> {
  const running = await runEmptyStudio(options)
  const { studio, server } = running
  const ada = createVisitor(() => server)
  await ada.sign('/api/accounts', { invitation: studio.invitation, name: 'Ada', password: 'correct horse battery' })
  return { ...running, address: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, ada }
}
