import type { Context } from 'koa'
import { type Ask, ask, type Protocol, type Received } from './clients.ts'
import type { Twin } from './servers.ts'

/** All that can be told of an exchange. */
export interface Outcome extends Received {
  /** What the app has seen. */
  readonly seen: readonly string[]
}

/** One case in which apps with and without dynacode do not do the same. */
export interface Difference {
  readonly protocol: Protocol
  readonly koa: Twin['koa']
  readonly variant: string
  readonly plain: Outcome
  readonly outcome: Outcome
}

/** Asks every twin the same, and gives back where one differs from its twin without dynacode. */
export async function findDifferences(
  twins: readonly Twin[],
  path: string,
  given: Ask,
  protocols: readonly Protocol[],
): Promise<Difference[]> {
  const differences: Difference[] = []
  for (const protocol of protocols) {
    // Koa 2 never answers HEAD over HTTP/2, with or without dynacode.
    const isAnswered = ({ koa }: Twin) => !(koa === 'Koa 2' && protocol === 'HTTP/2' && given.method === 'HEAD')
    const outcomes = await Promise.all(
      twins.filter(isAnswered).map(async (twin) => {
        const received = await ask(protocol, twin.ports, path, given)
        return { twin, outcome: { ...received, seen: await twin.takeSeen() } }
      }),
    )
    for (const { twin, outcome } of outcomes) {
      const plain = outcomes.find(({ twin: other }) => other.koa === twin.koa)?.outcome as Outcome
      if (JSON.stringify(outcome) === JSON.stringify(plain)) continue
      differences.push({ protocol, koa: twin.koa, variant: twin.variant, plain, outcome })
    }
  }
  return differences
}

/** What a case is about, from the path of its request. */
export function nameOf(ctx: Context): string {
  return decodeURIComponent(ctx.path.slice(1))
}
