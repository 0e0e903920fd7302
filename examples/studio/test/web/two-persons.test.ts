import { beforeAll, expect, test } from 'vitest'
import { addPlugin, checkAccess, describePages, invite, joinBy, photograph, readLive, startVisited } from './browser.ts'

describePages('where publishing takes two persons', () => {
  const visited = startVisited({ two_persons: true, two_persons_wait_ms: 0 })

  beforeAll(async () => {
    await addPlugin(visited.ada, "ctx.set('Access-Control-Allow-Origin', '*')")
  })

  test('one proposes, who cannot agree; another looks at it, and agrees', async () => {
    const { ada, base, openPage } = visited
    const bob = await openPage()
    await joinBy(bob, await invite(ada, 'publisher'), 'bob')
    await ada.goto(`${base}/changes`)
    await ada.getByRole('link', { name: /^cors/ }).click()
    await ada.getByLabel('Message: what changes, and why').fill('CORS for the shop')
    await ada.getByRole('button', { name: 'Propose version 1' }).click()
    await ada.getByText('Proposed. It goes live when another person approves it').waitFor()
    expect((await readLive(ada)).domains).toEqual([])
    expect(await ada.getByRole('button', { name: 'Someone else has to approve' }).isDisabled()).toBe(true)

    // Every page says that something waits.
    await bob.getByRole('link', { name: 'Changes 1 waiting for approval' }).click()
    await bob.getByRole('link', { name: /^cors.*waiting for approval/ }).click()
    await bob.getByRole('region', { name: 'Differences' }).getByText('added').first().waitFor()
    expect(await bob.getByRole('region', { name: 'Differences' }).getByText('the document').count()).toBe(0)
    await bob.getByLabel('Comment', { exact: true }).fill('Why every origin?')
    await bob.getByRole('button', { name: 'Comment', exact: true }).click()
    await ada.getByText('Why every origin?').waitFor()
    await checkAccess(bob)
    await photograph(bob, 'proposal')
    await bob.getByRole('button', { name: 'Approve and publish version 1' }).click()
    await bob.getByText('Version 1 is live', { exact: true }).waitFor()
    expect((await readLive(ada)).domains[0].plugins).toHaveLength(1)
    await bob.context().close()
  })
})
