import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { type AppProcess, bundle, launchApp } from '../fixtures/app-process.ts'
import { createSigner } from '../fixtures/signing.ts'
import { diskFaults } from './disk-faults.ts'
import { documentOf, startFaultyApi } from './faulty-api.ts'
import { type Outcome, startClient } from './load.ts'
import { createRandom, type Random } from './random.ts'

/** What came of a run. */
export interface Report {
  readonly seed: number
  readonly signed: boolean
  readonly seconds: number
  /** What did not hold; none when all is well. */
  readonly violations: readonly string[]
  readonly requests: { readonly answered: number; readonly cut_by_a_kill: number; readonly failed: number }
  readonly versions: { readonly published: number; readonly seen: number; readonly live_at_the_end: number }
  /** Of the app that is killed; some of them with a version that it had to have from the start. */
  readonly restarts: { readonly all: number; readonly held_to_a_version: number }
  readonly disk_faults: Readonly<Record<string, number>>
  readonly api: Readonly<Record<string, number>>
  /** Events of the process that was never killed. */
  readonly events: Readonly<Record<string, number>>
}

const CLIENTS = 3
const PAUSE_MS = 8
const TIMEOUT_S = 0.4
/** How long the newest document may take to be live once there are no more faults. */
const RECOVERY_MS = 15_000

/** The disk is left alone for half of this time, again and again. */
const QUIET_EVERY_MS = 12_000

/** One process and what its clients have seen of it. */
interface Site {
  readonly name: string
  app: AppProcess
  /** Versions that its answers carried since it was started, each once, in order. */
  seen: number[]
  /** What each client saw last, since the start: answers that cross each other belong to different clients. */
  last: Map<number, number>
  /** Whether somebody meddled with the disk since its last document was written. */
  meddled: boolean
  /** From a kill to the moment when it listens again, as `performance.now()`. */
  down: { from: number; to: number }[]
  /** What it may at least have after a restart. */
  least: number
}

/**
 * Runs two apps under steady requests, with an API, a disk and a process that fail. One app is never killed: none of its
 * requests may fail. The other one is killed again and again and started anew with its cache; only requests that were under
 * way then, or came while it was down, may fail, and only by their connection.
 *
 * With an even seed documents are signed, and the two share a cache. With an odd one they are not, and each has its own:
 * what is not signed has no order, so that nobody could say which of two documents is the older one.
 */
export async function runChaos({ seed, seconds }: { seed: number; seconds: number }): Promise<Report> {
  // Each has its own, so that none depends on how fast the others are.
  const [chance, pace, kills, disks] = [0, 1, 2, 3].map((stream) => createRandom(seed * 4 + stream)) as [
    Random,
    Random,
    Random,
    Random,
  ]
  const signed = seed % 2 === 0
  const signer = signed ? await createSigner('ES256', 'ours') : undefined
  const folder = mkdtempSync(join(tmpdir(), 'dynacode-chaos-'))
  const script = await bundle(new URL('../fixtures/serving-process.ts', import.meta.url))
  const api = await startFaultyApi(chance, signer, TIMEOUT_S * 2000)
  const violations: string[] = []
  const counts = { answered: 0, cut_by_a_kill: 0, failed: 0 }
  const restarts = { all: 0, held_to_a_version: 0 }
  const disk: Record<string, number> = {}
  const seen = new Set<number>()
  let over = false

  const violate = (what: string) => {
    counts.failed += 1
    if (violations.length < 20) violations.push(what)
  }

  function startSite(name: string, port = 0): Promise<AppProcess> {
    return launchApp(script, {
      port,
      plugin_api_uri: api.uri,
      plugin_api_polling_interval: 0.1,
      plugin_api_backoff_max: 0.4,
      plugin_api_timeout: TIMEOUT_S,
      plugin_api_max_bytes: 200_000,
      max_plugins: 20,
      // Nobody passes without plugins: that there is always a document is what is claimed. What is signed is verified first.
      when_not_loaded: 'closed',
      listen_when_ready: true,
      bootstrap: documentOf(0),
      cache_path: cacheOf(name),
      ...(signer && { trusted_keys: { keys: [signer.public_key] } }),
    })
  }
  const folderOf = (name: string) => join(folder, signed ? 'shared' : name)
  const cacheOf = (name: string) => join(folderOf(name), 'cache')

  async function createSite(name: string): Promise<Site> {
    mkdirSync(folderOf(name), { recursive: true, mode: 0o700 })
    const app = await startSite(name)
    return { name, app, seen: [], last: new Map(), meddled: false, down: [], least: 0 }
  }
  const [steady, killed] = [await createSite('steady'), await createSite('killed')]
  const sites = [steady, killed]

  function judge(site: Site, client: number, { began, ended, version, error }: Outcome): void {
    const down = site.down.find(({ from, to }) => began <= to && ended >= from)
    if (version === undefined) {
      // An answer, even a bad one, came from a process that lived.
      if (down === undefined || error?.startsWith('answered') || error?.startsWith('mixed'))
        violate(`${site.name}: ${error}`)
      else counts.cut_by_a_kill += 1
      return
    }
    counts.answered += 1
    const number = Number(version)
    if (!(number >= 0 && number <= api.version())) violate(`${site.name}: a version that never was good: ${version}`)
    // Which of its lives this answer comes from cannot be told.
    if (down !== undefined) return
    const last = site.last.get(client) ?? site.least
    if (number < last) violate(`${site.name}: back from version ${last} to ${number}`)
    site.last.set(client, number)
    if (number > (site.seen.at(-1) ?? -1)) site.seen.push(number)
    seen.add(number)
  }

  async function restart(site: Site): Promise<void> {
    const port = Number(new URL(site.app.uri).port)
    const window = { from: performance.now(), to: Number.POSITIVE_INFINITY }
    site.down.push(window)
    await site.app.kill()
    await wait(kills.between(0, 200))
    // What was live is on the disk, or the one before it: a kill may come between going live and being written. The
    // first one that was seen may have been written before the disk could be relied on.
    site.least = !site.meddled && site.seen.length > 2 ? (site.seen.at(-2) as number) : 0
    restarts.all += 1
    if (site.least > 0) restarts.held_to_a_version += 1
    Object.assign(site, { seen: [], last: new Map() })
    site.app = await startSite(site.name, port)
    window.to = performance.now()
  }

  const until = async (pause: () => number, action: () => Promise<void> | void) => {
    while (!over) {
      await wait(pause())
      if (!over) await action()
    }
  }
  const meddle = async () => {
    const site = disks.pick(sites)
    const faults = diskFaults(cacheOf(site.name), disks)
    const name = disks.pick(Object.keys(faults))
    disk[name] = (disk[name] ?? 0) + 1
    for (const one of signed ? sites : [site]) one.meddled = true
    await faults[name]?.()
  }

  const began = performance.now()
  const isQuiet = () => (performance.now() - began) % QUIET_EVERY_MS < QUIET_EVERY_MS / 2

  const clients = sites.flatMap((site) =>
    Array.from({ length: CLIENTS }, (_, client) =>
      startClient(
        () => site.app.uri,
        PAUSE_MS,
        (outcome) => judge(site, client, outcome),
      ),
    ),
  )
  const doings = [
    until(() => pace.between(100, 500), api.publish),
    until(
      () => kills.between(800, 2500),
      () => restart(killed),
    ),
    // Now and then the disk is left alone for a while, so that what is on it can be relied on again.
    until(
      () => disks.between(400, 1500),
      () => (isQuiet() ? trust(sites) : meddle()),
    ),
  ]
  await wait(seconds * 1000)
  over = true
  await Promise.all(doings)

  api.heal()
  await api.publish()
  const deadline = performance.now() + RECOVERY_MS
  const isLive = async ({ app }: Site) => (await fetch(app.uri)).headers.get('x-version') === String(api.version())
  while (performance.now() < deadline && !(await Promise.all(sites.map(isLive))).every(Boolean)) await wait(50)
  const live = await Promise.all(sites.map(async ({ app }) => Number((await fetch(app.uri)).headers.get('x-version'))))
  for (const [index, { name }] of sites.entries()) {
    if (live[index] !== api.version())
      violate(`${name}: ${live[index]} is live after the faults, expected ${api.version()}`)
  }
  await Promise.all(clients.map((client) => client.stop()))
  const events = await steady.app.events()
  await Promise.all(sites.map(({ app }) => app.kill()))
  await api.close()
  rmSync(folder, { recursive: true, force: true })

  const versions = { published: api.version(), seen: seen.size, live_at_the_end: Math.min(...live) }
  return {
    seed,
    signed,
    seconds,
    violations,
    requests: counts,
    versions,
    restarts,
    disk_faults: disk,
    api: api.counts,
    events,
  }
}

/** From now on what goes live can be relied on to be on the disk. */
function trust(sites: readonly Site[]): void {
  for (const site of sites) {
    if (!site.meddled) continue
    site.meddled = false
    site.seen = []
  }
}
