import type { Context } from 'koa'
import type { Document, PluginSpec } from '../document.ts'
import { createShare, percentAt } from '../matching/rollout.ts'
import { describeValue } from '../validation/schema-error.ts'

/** Keys that are tried before there is taken to be none: enough for a thousandth of a percent. */
const TRIES = 1_000_000

/**
 * Finds a key that is in the share of a plugin, or outside: an address where the rollout is by `ip`, else any text. Of a list of
 * keys, it is one for the first.
 *
 * @param name of a plugin with a rollout, or of one of its variants (`plugin/variant`)
 * @param now what time it is, for a share that grows by the time
 */
export function findRolloutKey(document: Document, name: string, inside: boolean, now: number): string {
  const plugins = document.domains.flatMap((domain) => ('error' in domain ? [] : domain.plugins))
  const plugin = plugins.find((each): each is PluginSpec => !('error' in each) && each.name === name)
  if (plugin === undefined) {
    const names = plugins.map((each) => describeValue(each.name))
    throw new Error(`rollout_key: there is no plugin ${describeValue(name)}, only ${names.join(', ')}`)
  }
  const { share } = plugin.scope
  if (share === undefined) throw new Error(`rollout_key: the plugin ${describeValue(name)} has no rollout`)
  const [by] = [share.by].flat()
  if (by === 'random') throw new Error(`rollout_key: the rollout of ${describeValue(name)} is by chance, not by a key`)
  let key = ''
  const holds = createShare(
    { ...share, by: 'random' },
    () => key,
    null,
    () => now,
  )
  for (let index = 1; index <= TRIES; index += 1) {
    key = by === 'ip' ? `10.${index >> 16}.${(index >> 8) & 255}.${index & 255}` : `key-${index}`
    if (holds({} as Context) === inside) return key
  }
  const range = `from ${share.from} to ${share.from + percentAt(share, now)} percent`
  throw new Error(
    `rollout_key: no key is ${inside ? 'inside' : 'outside'} the share of ${describeValue(name)}, ${range}`,
  )
}
