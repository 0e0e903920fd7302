import { messageOf } from '../errors.ts'
import type { AddCommand, CommonOptions } from './command.ts'
import { Failure } from './failure.ts'
import { readInput } from './input.ts'
import { refuseUnlessEmpty, writeOutput } from './output.ts'

interface PackOptions extends CommonOptions {
  readonly output?: string
}

/** Adds `pack` and `unpack`. */
export const addPack: AddCommand = (program, terminal, finish) => {
  program
    .command('pack')
    .summary('pack a folder into a document')
    .description('Packs a folder into one document that has the code of its files, TypeScript without its types.')
    .argument('<folder>', 'a folder with a dynacode.json')
    .option('-o, --output <file>', 'where to write it; stdout unless given')
    .action(async (folder: string, _: unknown, command) => {
      const { output, json } = command.optsWithGlobals() as PackOptions
      const packed = await pack(folder)
      if (output === undefined) {
        terminal.print(packed)
      } else {
        await writeOutput(output, packed)
        const bytes = Buffer.byteLength(packed)
        terminal.print(json ? JSON.stringify({ file: output, bytes }) : `${output}: ${bytes} bytes`)
      }
      finish(0)
    })

  program
    .command('unpack')
    .summary('unpack a document into a folder')
    .description('Unpacks a document into a folder: its dynacode.json, and a file for the code of each plugin.')
    .argument('<source>', 'a file with a document, a URL, or - for stdin')
    .argument('<folder>', 'a folder that is new or empty')
    .action(async (source: string, folder: string, _: unknown, command) => {
      const options = command.optsWithGlobals() as CommonOptions
      const { json } = options
      const { text } = await readInput(source, options)
      const files = await spread(text, source)
      await refuseUnlessEmpty(folder)
      for (const [name, content] of files) await writeOutput(`${folder}/${name}`, content, { with_folders: true })
      const names = [...files.keys()]
      terminal.print(
        json ? JSON.stringify({ folder, files: names }) : names.map((name) => `${folder}/${name}`).join('\n'),
      )
      finish(0)
    })
}

/**
 * The document that a folder makes up, on one line.
 *
 * @throws Failure
 */
export async function pack(folder: string): Promise<string> {
  const { text, manifest } = await readInput(folder)
  if (manifest === undefined) throw new Failure(`${folder}: expected a folder with a dynacode.json, got a document`)
  const { orderAsManifest } = await import('../tools/spread-document.ts')
  const faults = await findFaults(text, folder)
  if (faults.length > 0) throw new Failure(`${folder}: ${faults.join('; ')}`, 1)
  return JSON.stringify(orderAsManifest(JSON.parse(manifest), JSON.parse(text)))
}

async function findFaults(text: string, name: string): Promise<readonly string[]> {
  const { listFaults } = await import('../tools/pack-document.ts')
  try {
    return listFaults(text)
  } catch (cause) {
    throw new Failure(`${name}: ${messageOf(cause)}`, 2, cause)
  }
}

async function spread(text: string, name: string): Promise<ReadonlyMap<string, string>> {
  const { spreadDocument } = await import('../tools/spread-document.ts')
  await read(text, name)
  try {
    return spreadDocument(JSON.parse(text))
  } catch (cause) {
    throw new Failure(`${name}: ${messageOf(cause)}`, 2, cause)
  }
}

async function read(text: string, name: string): Promise<void> {
  const { readDocument } = await import('../background/reading/validator.ts')
  try {
    readDocument(text)
  } catch (cause) {
    throw new Failure(`${name}: ${messageOf(cause)}`, 2, cause)
  }
}
