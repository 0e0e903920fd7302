import { stat } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { PluginFields } from '../document.ts'
import type { Source } from '../sources/contract.ts'
import { MANIFEST } from '../sources/folder/manifest.ts'
import { folder_source } from '../sources/folder/source.ts'

/** A plugin as in a document; its name is optional. */
export type GivenPlugin = Omit<PluginFields, 'name'> & { name?: string }

/** A whole document. */
export interface GivenDocument {
  readonly domains: readonly unknown[]
  readonly general?: object | null
  readonly plugins?: readonly unknown[] | null
}

/** What to run: one plugin, several, a whole document, or the path of a folder, also as a `file:` URL. */
export type Given = GivenPlugin | readonly GivenPlugin[] | GivenDocument | string | URL

/** Makes a source of what a test has given. Plugins without a document are for every host. */
export async function createGivenSource(given: Given): Promise<Pick<Source, 'fetch'>> {
  if (typeof given === 'string' || given instanceof URL) {
    const path = given instanceof URL ? fileURLToPath(given) : given
    const is_manifest = basename(path) === MANIFEST && (await stat(path).catch(() => undefined))?.isFile()
    return folder_source(is_manifest ? dirname(path) : path)
  }
  if (typeof given !== 'object' || given === null) {
    throw new TypeError(`plugin_app(given): expected a plugin, a document or a path, got ${typeof given}`)
  }
  const document = 'domains' in given ? given : { domains: [{ name: '*', plugins: nameAll([given].flat()) }] }
  const bytes = Buffer.from(JSON.stringify(document))
  return { fetch: async () => ({ bytes }) }
}

function nameAll(plugins: readonly unknown[]): readonly unknown[] {
  return plugins.map((plugin, index) => {
    if (typeof plugin !== 'object' || plugin === null) return plugin
    return { name: plugins.length === 1 ? 'plugin' : `plugin ${index + 1}`, ...plugin }
  })
}
