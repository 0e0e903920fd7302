import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type ts from 'typescript'
import type { Document, PluginSpec } from '../document.ts'
import { messageOf } from '../errors.ts'
import { checkTypes, type PluginSource } from '../plugin/check-types.ts'
import { createEntryFinder, fileOf } from '../tools/document-entry.ts'
import { createFinding, type Located } from '../tools/finding.ts'
import { Failure } from './failure.ts'
import type { Input } from './input.ts'

const TYPESCRIPT = /\.[cm]?ts$/

/** What code finds beside what dynacode gives it. */
export interface TypeOptions {
  readonly globals?: readonly string[]
  /** Paths of `.d.ts` files. */
  readonly declarations?: readonly string[]
}

/**
 * Checks the types of a document's plugins.
 *
 * @throws Failure without TypeScript, or the types of Koa
 */
export async function inspectTypes(
  { text, manifest, folder }: Pick<Input, 'text' | 'manifest' | 'folder'>,
  document: Document,
  options: TypeOptions,
  load: () => Promise<{ default: typeof ts }> = () => import('typescript'),
): Promise<readonly Located[]> {
  const typescript = await load().catch((cause) => {
    throw new Failure('--types needs TypeScript: npm install --save-dev typescript', 2, cause)
  })
  const find = createEntryFinder(JSON.parse(manifest ?? text))
  const uses = new Map<string, PluginSpec[]>()
  for (const domain of document.domains) {
    for (const plugin of 'error' in domain ? [] : domain.plugins) {
      if ('error' in plugin) continue
      const key = JSON.stringify([plugin.name, plugin.phase, plugin.code])
      uses.set(key, [...(uses.get(key) ?? []), plugin])
    }
  }
  const subjects = await Promise.all(
    [...uses.values()].map(async (specs, index) => {
      const spec = specs[0] as PluginSpec
      const file = fileOf(find(spec), spec.name)
      const typed = file !== null && folder !== undefined && TYPESCRIPT.test(file)
      const code = typed ? await readFile(join(folder, file), 'utf8') : spec.code
      const params = specs.map((each) => each.params)
      // By its number, since plugins of several domains may have one name.
      const source: PluginSource = { name: String(index), phase: spec.phase, code, typescript: typed, params }
      return { spec, file, source }
    }),
  )
  const sources = subjects.map(({ source }) => source)
  return check(typescript.default, sources, options).map(({ plugin, line, column, message, code }) => {
    const { spec, file, source } = subjects[Number(plugin)] as (typeof subjects)[number]
    const { name, domain, phase, path } = spec
    const about = { plugin: name, domain, phase, path, file, line, column }
    const said = `${message.replace(/\s*\n\s*/g, ' ')} (TS${code})`
    return createFinding({ ...about, rule: 'types', severity: 'error', message: said }, source.code)
  })
}

function check(...given: Parameters<typeof checkTypes>): ReturnType<typeof checkTypes> {
  try {
    return checkTypes(...given)
  } catch (cause) {
    throw new Failure(messageOf(cause), 2, cause)
  }
}
