import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Receiver, startReceiver } from '../fixtures/receiver.ts'
import { call, checkAccess, describePages, measureOverflow, photograph, startVisited } from './browser.ts'

describePages('webhooks', () => {
  const visited = startVisited({ webhooks: { private_hosts: ['127.0.0.1'], retry_ms: [] } })
  let receiver: Receiver
  beforeAll(async () => {
    receiver = await startReceiver()
  })
  afterAll(() => receiver.close())

  test('are added, tested, paused and removed by a publisher, on any screen', async () => {
    const { ada, base } = visited
    await ada.goto(`${base}/webhooks`)
    const form = ada.getByRole('region', { name: 'Add a webhook' })
    await form.getByRole('button', { name: 'Add webhook' }).click()
    // All that is wrong is named at once.
    await form.getByText('Expected a name').waitFor()
    await form.getByText('Expected an address such as https://…').waitFor()
    await form.getByLabel('Name').fill('Team chat')
    await form.getByLabel('Address').fill('https://10.0.0.1/hook')
    await form.getByRole('button', { name: 'Add webhook' }).click()
    await form.getByText(/this one is private/).waitFor()
    await form.getByLabel('Address').fill(receiver.url)
    await form.getByLabel('someone proposes a change').uncheck()
    await form.getByRole('button', { name: 'Add webhook' }).click()
    expect(await ada.getByLabel('Secret', { exact: true }).inputValue()).toMatch(/^whsec_/)
    const card = ada.getByRole('region', { name: 'Team chat' })
    await card.getByRole('button', { name: 'Send a test to Team chat' }).click()
    await card.getByText('A test of the webhook, sent by ada.').waitFor()
    await card.getByText('delivered').waitFor()
    receiver.answer((response) => void response.writeHead(500).end())
    await card.getByRole('button', { name: 'Send a test to Team chat' }).click()
    await ada.getByText('The test message did not arrive: it answered with 500').waitFor()
    await checkAccess(ada)
    await photograph(ada, 'webhooks')
    for (const width of [390, 768, 1280]) {
      await ada.setViewportSize({ width, height: 800 })
      expect(await measureOverflow(ada)).toBe(0)
      await checkAccess(ada)
    }
    await card.getByRole('button', { name: 'Pause Team chat' }).click()
    await card.getByText('paused', { exact: true }).waitFor()
    await ada.reload()
    expect(await ada.getByLabel('Secret', { exact: true }).count()).toBe(0)
    expect(await ada.content()).not.toContain('a-secret-of-the-chat')
    await card.getByRole('button', { name: 'Remove Team chat' }).click()
    await ada.getByRole('dialog').getByRole('button', { name: 'Remove' }).click()
    await ada.getByText('There is no webhook yet.').waitFor()
    expect(await call(ada, 'GET', '/webhooks')).toEqual([])
  })
})
