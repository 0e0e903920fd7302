import { join } from 'node:path'
import type { PrivateKey } from 'dynacode/tools'
import Koa, { type Context, type Middleware } from 'koa'
import { actionRoutes } from './api/action-routes.ts'
import { environmentRoutes } from './api/environment-routes.ts'
import { createEventStreams } from './api/event-stream.ts'
import { fleetRoutes } from './api/fleet-routes.ts'
import { gitRoutes } from './api/git-routes.ts'
import { importRoutes } from './api/import-routes.ts'
import { readJsonBody } from './api/json-body.ts'
import { liveRoutes } from './api/live-routes.ts'
import { oidcRoutes } from './api/oidc-routes.ts'
import { describeApi } from './api/openapi.ts'
import { peopleRoutes } from './api/people-routes.ts'
import { pluginRoutes } from './api/plugin-routes.ts'
import { answerProblems } from './api/problems.ts'
import { rolloutRoutes } from './api/rollout-routes.ts'
import { createRouter } from './api/route.ts'
import { sessionRoutes } from './api/session-routes.ts'
import { setRoutes } from './api/set-routes.ts'
import { versionRoutes } from './api/version-routes.ts'
import { webhookRoutes } from './api/webhook-routes.ts'
import { workRoutes } from './api/work-routes.ts'
import { includesRole } from './auth/actor.ts'
import { authenticate } from './auth/authenticate.ts'
import { createInstanceGate } from './auth/instance-gate.ts'
import { inviteFirst } from './auth/links.ts'
import { createLoginLimit } from './auth/login-limit.ts'
import { WAIT_MS } from './auth/second-person.ts'
import { createWorkspace } from './changes/workspace.ts'
import { createFleet } from './fleet/fleet.ts'
import { createFollower } from './git/follow.ts'
import { createLedger } from './git/ledger.ts'
import { openWorkingCopy } from './git/working-copy.ts'
import type { OidcOptions } from './oidc/provider.ts'
import { servePages } from './pages.ts'
import { findContacts } from './publishing/contacts.ts'
import { createDocuments } from './publishing/documents.ts'
import { renewIfDue, repeat } from './publishing/renewal.ts'
import { serveDocument } from './publishing/served-document.ts'
import type { PluginName } from './review/live-index.ts'
import { createReviewer, type Threads } from './review/reviewer.ts'
import { createRollouts } from './rollouts/rollouts.ts'
import { type DatabaseOptions, openDatabase } from './store/database.ts'
import type { Level } from './trying/levels.ts'
import { createTrials, type Trials } from './trying/try-request.ts'
import { createDeliverer, RETRY_MS, TIMEOUT_MS } from './webhooks/deliver.ts'

/** What a studio can be told. */
export interface StudioOptions {
  readonly database: DatabaseOptions
  /** Names of the apps' own that plugins may use. */
  readonly globals?: readonly string[]
  /** By which documents are signed. */
  readonly key?: PrivateKey
  /** Whether what one person proposes is published by another alone. */
  readonly two_persons?: boolean
  /** For how long an account cannot agree to what is proposed by who made it a publisher; a day, if left out. */
  readonly two_persons_wait_ms?: number
  /** By which instances may report, beside the tokens that were made for that. */
  readonly report_token?: string
  /** A folder in a git working copy that is the truth, and whether what is committed there is pushed. */
  readonly git?: { readonly folder: string; readonly push: boolean }
  /** Whether only who has a token gets the document. */
  readonly private_document?: boolean
  /** Whether to make the link for a first account though there are accounts. */
  readonly invite?: boolean
  /** Whether a proxy in front says who asks, and that it is by TLS. */
  readonly proxy?: boolean
  /** The level on which requests are tried; left out, the strongest that the machine has. */
  readonly try_level?: Level
  /** As browsers see it: for links in messages, and to come back to from a provider. */
  readonly public_url?: string
  /** By whom people sign in beside passwords. */
  readonly oidc?: OidcOptions
  /** Where webhooks may go beside public addresses, and how long each try waits for the next one. */
  readonly webhooks?: { readonly private_hosts?: readonly string[]; readonly retry_ms?: readonly number[] }
  /** Where the threads for slow work come from; left out, each is a new one. */
  readonly threads?: Threads
  /** Told of errors that nobody foresaw. */
  readonly failed?: (error: unknown) => void
}

/** A studio that is running. */
export interface Studio {
  readonly app: Koa
  /** The secret of the link by which the first account is made; undefined when there is one. */
  readonly invitation: string | undefined
  /** What is around code that is tried here. */
  readonly tryLevel: Trials['level']
  close(): Promise<void>
}

/** How large a body may be, in bytes, by who sends it: a folder that is imported, a plugin, a report, or a password. */
const LARGEST_IMPORT = 32 * 1024 * 1024
/** What is read beside everything else: an import is, in a thread. */
const LARGEST_CHANGE = 4 * 1024 * 1024
const LARGEST_REPORT = 128 * 1024
const LARGEST_OF_STRANGERS = 16 * 1024

/** How often somebody looks for a commit that was made outside, in milliseconds; a moment more or less. */
const FOLLOW_EVERY_MS = 4000

/** Where `npm run build` puts the pages. */
const PAGES = join(import.meta.dirname, '..', 'dist')

/**
 * Starts a studio.
 *
 * @throws Error when its database cannot be used
 */
export async function startStudio(options: StudioOptions): Promise<Studio> {
  const { globals = [], key, two_persons = false, proxy = false, failed = console.error } = options
  const copy = options.git === undefined ? undefined : await openWorkingCopy(options.git.folder)
  const database = await openDatabase(options.database)
  const { db } = database
  const reviewer = createReviewer(globals, options.threads)
  const documents = createDocuments(db)
  const workspace = createWorkspace(db, documents, reviewer)
  const ledger = copy && createLedger(db, copy, reviewer)
  const rules = { key, two_persons, wait_ms: options.two_persons_wait_ms ?? WAIT_MS }
  const press = { db, rules, documents, workspace, reviewer, ledger }
  const served = await serveDocument(database, documents, failed)
  const trials = createTrials(({ level }) => level === (options.try_level ?? level))
  let closing = false
  /** What is under way when the studio closes finds its database gone. */
  const tell = (error: unknown) => {
    if (!closing) failed(error)
  }
  const fleet = await createFleet(database, tell, (taken) => rollouts.take(taken))
  const rollouts = createRollouts(press, () => fleet.view, served.reload, tell)
  const streams = createEventStreams(database, fleet.view)
  const follower =
    copy && createFollower(press, copy, { push: options.git?.push ?? false, published: served.reload, failed: tell })
  // The folder is the truth from the first answer on.
  await follower?.sync()
  const endFollowing = follower && repeat(() => follower.sync(), failed, FOLLOW_EVERY_MS)
  const endRenewal = repeat(() => renewIfDue(press, Date.now()), failed)
  const contactsOf = (plugins: readonly PluginName[]) => findContacts(press, plugins)
  const hook_rules = {
    private_hosts: options.webhooks?.private_hosts ?? [],
    retry_ms: options.webhooks?.retry_ms ?? RETRY_MS,
    timeout_ms: TIMEOUT_MS,
    public_url: options.public_url,
    contactsOf,
  }
  const deliverer = createDeliverer(db, database.listen, hook_rules, tell)
  const limit = createLoginLimit()
  const routes = [
    ...sessionRoutes(database, limit),
    ...oidcRoutes(database, limit, options.oidc, options.public_url),
    ...peopleRoutes(database, limit, rules),
    ...pluginRoutes(press),
    ...liveRoutes(press),
    ...versionRoutes(press, served.reload),
    ...setRoutes(press, served.reload),
    ...workRoutes(press, trials, streams),
    ...fleetRoutes(fleet, contactsOf),
    ...rolloutRoutes(rollouts, served.reload),
    ...importRoutes(press),
    ...actionRoutes(press, served.reload),
    ...environmentRoutes(press, hook_rules),
    ...gitRoutes(follower),
    ...webhookRoutes(database, deliverer, hook_rules),
  ]
  const description = JSON.stringify(describeApi('/api', routes))

  // Of the addresses that a proxy passes on, only the last one is its own word; the others are the client's.
  const app = new Koa({ proxy, maxIpsCount: 1 })
  app.on('error', failed)
  app.use(setHeaders)
  const gate = options.private_document ? createInstanceGate(database, options.report_token) : undefined
  app.use(async (ctx, next) => {
    if (ctx.path !== '/plugins.json') return next()
    if (gate !== undefined && !(await gate.admit(ctx.req, ctx.res))) {
      ctx.status = 401
      ctx.set('WWW-Authenticate', 'Bearer')
      return
    }
    // Straight from memory: thousands may wait here.
    ctx.respond = false
    served.listener(ctx.req, ctx.res)
  })
  app.use(answerProblems(failed))
  app.use((ctx, next) => {
    if (ctx.path !== '/api/openapi.json') return next()
    ctx.type = 'application/json'
    ctx.body = description
    return undefined
  })
  app.use(await servePages(PAGES))
  app.use(authenticate(database.db, options.report_token))
  app.use(readJsonBody(limitOf))
  app.use(createRouter('/api', routes))
  return Object.freeze({
    app,
    invitation: await inviteFirst(database.db, options.invite ?? false),
    tryLevel: trials.level,
    async close() {
      closing = true
      await trials.close()
      endRenewal()
      rollouts.close()
      await deliverer.close()
      endFollowing?.()
      served.close()
      gate?.close()
      streams.close()
      await fleet.close()
      await reviewer.close()
      await database.close()
    },
  })
}

function limitOf({ path, state: { actor } }: Context): number {
  if (actor === undefined) return LARGEST_OF_STRANGERS
  if (!includesRole(actor.role, 'author')) return LARGEST_REPORT
  return path.startsWith('/api/import') ? LARGEST_IMPORT : LARGEST_CHANGE
}

/** What keeps a browser from doing with the pages what they do not mean (OWASP's secure headers). */
const setHeaders: Middleware = (ctx, next) => {
  ctx.set({
    'Content-Security-Policy':
      "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'",
    'Cross-Origin-Opener-Policy': 'same-origin',
    'Referrer-Policy': 'no-referrer',
    'X-Content-Type-Options': 'nosniff',
    'X-Frame-Options': 'DENY',
    ...(ctx.secure ? { 'Strict-Transport-Security': 'max-age=31536000' } : {}),
  })
  if (ctx.path.startsWith('/api/')) ctx.set('Cache-Control', 'no-store')
  return next()
}
