import { describe, expect, test } from 'vitest'
import type { LivePlugin } from '../../lib/program.ts'
import { createPhaseRunner } from '../../lib/request/phase.ts'
import type { RequestState } from '../../lib/request/run/state.ts'

/** Two plugins: of the first it cannot be told whether it is for the request, which it refuses; the second would answer. */
function runTwo(is_indexed: boolean): { state: RequestState; ran: string[] } {
  const ran: string[] = []
  const plugins = [
    { info: { name: 'guard' }, applies: () => true },
    { info: { name: 'answer' }, applies: null },
  ] as unknown as LivePlugin[]
  const state = { ctx: { req: { url: '/' } }, ending: null } as unknown as RequestState
  const applies = () => {
    state.ending = { status: 503 }
    return false
  }
  const runPlugin = (_: RequestState, plugin: LivePlugin) => {
    ran.push(plugin.info.name)
    state.ending = { status: 200 }
    return undefined
  }
  const runPhase = createPhaseRunner(applies, runPlugin)
  void runPhase(state, plugins, is_indexed ? () => plugins : undefined)
  return { state, ran }
}

describe('a plugin that fails closed, of which it cannot be told whether it is for the request', () => {
  test.each([[false], [true]])('refuses, and no later plugin answers in its place (by path: %s)', (is_indexed) => {
    const { state, ran } = runTwo(is_indexed)
    expect({ ending: state.ending, ran }).toEqual({ ending: { status: 503 }, ran: [] })
  })
})
