/** Evidence that a rate is over its limit, gathered one observation at a time. */
export interface Evidence {
  /**
   * Takes what was seen.
   *
   * @param difference the rate seen in the rollout less the one seen in the control group, from -1 to 1; where there is no
   *   control group 1 for what counts against the limit. Where it is 0, `zeros` is counted instead
   * @param zeros how often it was 0 so far
   * @returns whether the evidence is enough by now
   */
  observe(difference: number, zeros: number): boolean
}

/** How many bets are placed side by side: one of them is near to the best one, whatever the true rate is. */
const BETS = 8

/** What every piece of evidence for one limit has in common. */
export interface Odds {
  readonly limit: number
  readonly bets: readonly number[]
  /** What a difference of 1, and of 0, adds to the logarithm of each bet's capital. */
  readonly won: readonly number[]
  readonly lost: readonly number[]
}

/**
 * Places the bets against a limit.
 *
 * @param has_control whether what is seen may be below 0, since it is compared with others: then less can be staked
 */
export function placeBets(limit: number, has_control: boolean): Odds {
  const bets = Array.from({ length: BETS }, (_, at) => {
    if (has_control) return 0.97 / (1 + limit) / 2 ** at
    // The best bet where the true rate is this one: rates that lie between the limit and 1, each as far from the next.
    const rate = limit * (1 / limit) ** ((at + 0.5) / BETS)
    return (rate - limit) / (limit * (1 - limit))
  })
  return Object.freeze({
    limit,
    bets: Object.freeze(bets),
    won: Object.freeze(bets.map((bet) => Math.log1p(bet * (1 - limit)))),
    lost: Object.freeze(bets.map((bet) => Math.log1p(-bet * limit))),
  })
}

/**
 * Begins to gather evidence: a test by betting. Each bet begins with a capital of 1 and stakes the same share of it on every
 * observation: `capital *= 1 + bet * (difference - limit)`. As long as the rate is within its limit, no bet can be expected to
 * win, however the rate moves about below it; and by Ville's inequality their mean ever reaches `1 / alpha` with a
 * probability of `alpha` at most, however often and whenever it is looked at. So a rollout may be watched at every run.
 *
 * Without a control group this is the mixture sequential probability ratio test (Robbins 1970) of the limit against rates
 * above it. With one it is the two-sample test by betting of Shekhar and Ramdas.
 *
 * I. Waudby-Smith, A. Ramdas, "Estimating means of bounded random variables by betting", J. R. Stat. Soc. B 86 (2024);
 * S. Shekhar, A. Ramdas, "Nonparametric two-sample testing by betting", IEEE Trans. Inf. Theory 70 (2024);
 * J. Ville, "Étude critique de la notion de collectif" (1939).
 *
 * @param alpha the probability with which a rate within its limit is ever taken for one that is not
 * @param zeros how often a difference of 0 was seen before
 */
export function gatherEvidence({ limit, bets, won, lost }: Odds, alpha: number, zeros: number): Evidence {
  const enough = Math.log(BETS / alpha)
  /** The logarithm of each bet's capital, but for the zeros. */
  const capitals = new Float64Array(BETS)

  return {
    observe(difference, zeros_now) {
      for (let at = 0; at < BETS; at += 1) {
        const gain = difference === 1 ? (won[at] as number) : Math.log1p((bets[at] as number) * (difference - limit))
        capitals[at] = (capitals[at] as number) + gain
      }
      if (difference <= 0) return false
      const count = zeros_now - zeros
      let most = Number.NEGATIVE_INFINITY
      for (let at = 0; at < BETS; at += 1) {
        most = Math.max(most, (capitals[at] as number) + count * (lost[at] as number))
      }
      // The mean of all is between the most and an eighth of it: most often that alone tells.
      if (most >= enough) return true
      if (most < enough - Math.log(BETS)) return false
      let sum = 0
      for (let at = 0; at < BETS; at += 1) {
        sum += Math.exp((capitals[at] as number) + count * (lost[at] as number) - most)
      }
      return most + Math.log(sum) >= enough
    },
  }
}
