import { lstat } from 'node:fs/promises'
import { join } from 'node:path'
import { VERSION } from '../version.ts'
import type { AddCommand, CommonOptions } from './command.ts'
import { Failure } from './failure.ts'
import { createProject } from './new-project.ts'
import { writeOutput } from './output.ts'

/** Adds `init`. */
export const addInit: AddCommand = (program, terminal, finish) => {
  program
    .command('init')
    .summary('start a folder of plugins')
    .description(
      'Starts a folder of plugins: a manifest, an example, a test, types, an app to try it on, and files for git and CI.',
    )
    .argument('[folder]', 'where to write it', '.')
    .action(async (folder: string, _: unknown, command) => {
      const { json } = command.optsWithGlobals() as CommonOptions
      const files = createProject(VERSION)
      // All or nothing.
      for (const name of files.keys()) await refuseIfThere(join(folder, name))
      for (const [name, content] of files)
        await writeOutput(join(folder, name), content, { is_new: true, with_folders: true })
      const names = [...files.keys()]
      if (json) terminal.print(JSON.stringify({ folder, files: names }))
      else terminal.print([...names.map((name) => join(folder, name)), '', ...describeNext(folder)].join('\n'))
      finish(0)
    })
}

async function refuseIfThere(path: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined)
  if (found !== undefined) throw new Failure(`${path}: file already exists`)
}

function describeNext(folder: string): string[] {
  const enter = folder === '.' ? [] : [`  cd ${folder}`]
  return ['Next:', ...enter, '  npm install', '  npm run check', '  npm test', '  npm run serve', '  npm start']
}
