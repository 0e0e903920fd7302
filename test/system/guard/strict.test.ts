import { expect, test } from 'vitest'
import { resultOf, runChild } from '../../fixtures/child.ts'

const FLAG = process.allowedNodeEnvironmentFlags.has('--permission') ? '--permission' : '--experimental-permission'

test(`under ${FLAG}, which allows no inspector, a plugin in strict mode is refused, and nobody gets past it`, async () => {
  const flags = [FLAG, '--no-warnings', '--allow-fs-read=*', '--allow-fs-write=*', '--allow-worker', '--allow-addons']
  flags.push('--allow-child-process')
  if (process.allowedNodeEnvironmentFlags.has('--allow-net')) flags.push('--allow-net')
  const ended = await runChild(
    `
    const told = []
    const state = await start({ document: { domains: ['open', 'closed'].map((on_failure) => ({ name: on_failure + '.test',
      plugins: [{ name: 'strict', phase: 'access', guard: 'strict', on_failure, code: 'exit(204)' }] })) },
      on_error: ({ error }) => told.push(error.code) })
    const statuses = [(await get(state, 'open.test')).status, (await get(state, 'closed.test')).status]
    const states = state.dyna.status().plugins.map(({ state }) => state)
    console.log(JSON.stringify({ statuses, states }))
    process.exit()
    `,
    { flags },
  )
  expect(resultOf(ended)).toEqual({ statuses: [200, 503], states: ['guarded', 'refused'] })
})
