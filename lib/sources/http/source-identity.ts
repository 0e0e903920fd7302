import { createHash } from 'node:crypto'

/**
 * Names the place that documents come from, for the cache. As a hash: an address may have a token in its query. Sources of
 * the app's own cannot be told from each other.
 */
export function identifySource(plugin_api_uri: string | undefined): string {
  const place = plugin_api_uri === undefined ? 'source' : new URL(plugin_api_uri).href.replace(/#.*/, '')
  return createHash('sha256').update(place).digest('hex').slice(0, 32)
}
