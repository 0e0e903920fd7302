import type { GivenRequest, Ran } from 'dynacode/tools'
import { z } from 'zod'
import { RAN } from '../../shared/trial.ts'
import { Problem } from '../problem.ts'
import { type Bundle, bundleChild } from './bundle.ts'
import { listWays, type Way } from './levels.ts'
import { type Ended, runChild } from './run-child.ts'

/** What a plugin that is tried gets for a `fetch`. */
export interface FetchAnswer {
  readonly url: string
  /** Undefined: any. */
  readonly method?: string | undefined
  readonly status?: number | undefined
  readonly headers?: Readonly<Record<string, string>> | undefined
  readonly body?: string | undefined
}

/** What is tried out. */
export interface Trial {
  /** A document, as JSON text. */
  readonly document: string
  readonly request: GivenRequest
  readonly now?: string | undefined
  readonly answers?: readonly FetchAnswer[] | undefined
}

/** Tries requests out, each in a process of its own that can reach nothing (levels.ts says how much of nothing). */
export interface Trials {
  /**
   * @param account_id whose it is: each has one at a time
   * @param signal ends it, when nobody waits for it any more
   * @throws Problem
   */
  run(trial: Trial, account_id: number, signal?: AbortSignal): Promise<Ran>
  /** What is around them here. @throws Problem where there is nothing of what was asked for */
  level(): Promise<Pick<Way, 'level' | 'what'>>
  close(): Promise<void>
}

/** Longer than any plugin may take, in milliseconds. */
const PATIENCE_MS = 20_000
/** More than a request's trace takes, in characters. */
const LONGEST_ANSWER = 8 * 1024 * 1024
/** Each is a process. */
const AT_ONCE = 4

/**
 * Makes what tries requests out.
 *
 * @param wanted which ways may be taken; left out, any: the strongest that there is
 * @param patience_ms after which one is ended
 */
export function createTrials(wanted: (way: Way) => boolean = () => true, patience_ms = PATIENCE_MS): Trials {
  const limits = { patience_ms, longest_answer: LONGEST_ANSWER }
  const running = new Set<number>()
  let known: Promise<{ way: Way; bundle: Bundle }> | undefined
  const closing = new AbortController()

  function find(): Promise<{ way: Way; bundle: Bundle }> {
    known ??= findWay(wanted, closing.signal).catch((error) => {
      known = undefined
      throw error
    })
    return known
  }

  return Object.freeze({
    async run(trial, account_id, signal) {
      if (running.has(account_id)) throw busy('a request of yours is already running; wait until it has finished')
      if (running.size >= AT_ONCE) throw busy('others are trying requests; try again in a moment')
      running.add(account_id)
      try {
        const { way } = await find()
        const ended = AbortSignal.any([closing.signal, ...(signal === undefined ? [] : [signal])])
        return read(await runChild(way, write(trial), { ...limits, signal: ended }))
      } finally {
        running.delete(account_id)
      }
    },
    level: async () => (await find()).way,
    async close() {
      closing.abort()
      const found = await known?.catch(() => undefined)
      await found?.bundle.remove()
    },
  } satisfies Trials)
}

const busy = (message: string) => new Problem(503, message, { headers: { 'Retry-After': '2' } })

/** The first way that works here: a kernel, a container or another program may forbid any of them. */
async function findWay(wanted: (way: Way) => boolean, signal: AbortSignal): Promise<{ way: Way; bundle: Bundle }> {
  const bundle = await bundleChild()
  const faults: string[] = []
  for (const way of listWays(bundle).filter(wanted)) {
    try {
      const { response } = read(
        await runChild(way, write(NOTHING), { patience_ms: PATIENCE_MS, longest_answer: LONGEST_ANSWER, signal }),
      )
      if (response.body === 'app') return { way, bundle }
      faults.push(`${way.what}: an app without plugins answered ${response.status} there`)
    } catch (error) {
      if (signal.aborted) break
      faults.push(`${way.what}: ${(error as Error).message}`)
    }
  }
  await bundle.remove()
  if (signal.aborted) throw new Problem(503, 'the studio is closing')
  throw new Problem(
    503,
    `requests cannot be tried on this machine: ${faults.join('; ') || 'this machine has no such level'}`,
  )
}

const NOTHING: Trial = { document: '{"domains":[]}', request: { url: 'http://localhost/' } }

/** The document as it is, behind a line with the rest: it may be large. */
function write({ document, ...rest }: Trial): string {
  return `${JSON.stringify(rest)}\n${document}`
}

const ANSWER = z.union([
  z.object({ ran: RAN }),
  z.object({ failed: z.string().max(10_000), option: z.string().max(200).optional() }),
])

function read({ answer, said, was_ended, end }: Ended): Ran {
  const parsed = ANSWER.safeParse(parse(answer))
  if (!parsed.success) {
    const why = was_ended ? 'it took too long, or wrote too much output' : said || end
    throw new Problem(422, `the request could not be tried: ${why}`)
  }
  if ('ran' in parsed.data) return parsed.data.ran
  const { failed, option } = parsed.data
  const fields = option === undefined ? {} : { fields: { [`request.${option}`]: withoutPlace(failed) } }
  throw new Problem(422, failed, fields)
}

function parse(answer: string): unknown {
  try {
    return JSON.parse(answer)
  } catch {
    return undefined
  }
}

/** At the field, nobody needs to be told which one it is. */
function withoutPlace(message: string): string {
  return message.replace(/^run_request\(.*?\): option [\w.]+: /, '')
}
