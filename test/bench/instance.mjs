import { dynacode } from 'dynacode'

/** The host that every benchmark asks for. */
export const HOST = 'app.test'

/**
 * An instance with a document that is live; it polls once and never again while the benchmark runs.
 *
 * @param scope gets the closing of the instance
 * @throws when a plugin of the document is not live as written: nothing is measured then
 */
export async function createInstance(scope, document, options = {}) {
  const bytes = Buffer.from(JSON.stringify(document))
  const source = { fetch: async () => ({ bytes }) }
  const instance = dynacode({ source, plugin_api_polling_interval: 86_400, ...options })
  scope.defer(() => instance.close())
  await instance.ready()
  const broken = instance.status().plugins.filter(({ state }) => state !== 'live')
  if (broken.length > 0) throw new Error(`plugins are not live: ${JSON.stringify(broken)}`)
  return instance
}
