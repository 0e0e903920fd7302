// For TypeDoc: modules have the names by which they are imported, not those of their files.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

const ROOT = join(import.meta.dirname, '../..')
const { exports } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))

/** @param {import('typedoc').Application} app */
export function load(app) {
  app.converter.on('resolveBegin', ({ project }) => {
    for (const module of project.children ?? []) {
      const entry = Object.entries(exports).find(([, { types }]) => {
        const path = types?.replace('./dist/', '').replace('.d.ts', '')
        return path === module.name || path === `${module.name}/index`
      })
      if (entry === undefined) throw new Error(`package.json exports nothing that is made of lib/${module.name}`)
      module.name = entry[0].replace('.', 'dynacode')
    }
  })
}
