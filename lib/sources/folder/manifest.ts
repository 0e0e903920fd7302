import { isAbsolute, normalize, posix, win32 } from 'node:path'
import { findJsonFault } from '../../background/reading/json-fault.ts'
import { DynacodeError } from '../../errors.ts'
import { describeValue, formatPath } from '../../validation/schema-error.ts'

/** The name of the file that holds the document. */
export const MANIFEST = 'dynacode.json'

/** A document whose plugins may name files where their code would stand. */
export interface Manifest {
  /** The files that are named, each once. */
  readonly files: readonly string[]
  /**
   * Puts the code where the files are named. Called once.
   *
   * @returns undefined when no file is named, so that the document can stay as it is, byte for byte: it may be signed
   */
  compose(code: (file: string) => CodeOrFault): Uint8Array | undefined
}

/** What became of a file: its code, or why it cannot be had. */
export type CodeOrFault = { readonly code: string } | { readonly fault: string }

type Fields = Record<string, unknown>

/** A place at which a file is named. */
interface Slot {
  readonly plugin: Fields
  /** The plugin itself, or one of its variants. */
  readonly owner: Fields
  /** JSON path of the file's name, from the plugin on. */
  readonly path: string
}

/**
 * Reads the text of a manifest. Only what concerns files is looked at: the rest of the document is for the validator.
 *
 * @param name the manifest's path, for messages
 * @throws DynacodeError ERR_DYNACODE_FETCH when it is not valid JSON
 */
export function readManifest(text: string, name: string): Manifest {
  const document = parse(text, name)
  const slots = pluginsOf(document).flatMap(slotsOf)
  const files = new Set(slots.flatMap((slot) => (faultOf(slot) === undefined ? [slot.owner.file as string] : [])))
  return {
    files: [...files],
    compose(codeOf) {
      if (slots.length === 0) return undefined
      const refused = new Set<Fields>()
      for (const slot of slots) {
        const fault = faultOf(slot)
        fill(slot, fault === undefined ? codeOf(slot.owner.file as string) : { fault }, refused)
      }
      return Buffer.from(JSON.stringify(document))
    },
  }
}

function parse(text: string, name: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    const found = findJsonFault(text)
    const what =
      found === undefined ? `: ${(cause as Error).message}` : `:${found.line}:${found.column}: ${found.message}`
    throw new DynacodeError('ERR_DYNACODE_FETCH', `${name}${what}`, { cause })
  }
}

/** Every plugin that is an object: the shared ones, and those of each domain. */
function pluginsOf(document: unknown): Fields[] {
  const owners = [document, ...listOf(document, 'domains')]
  return owners.flatMap((owner) => listOf(owner, 'plugins')).filter(isObject)
}

function slotsOf(plugin: Fields): Slot[] {
  const variants = listOf(plugin, 'variants').map((owner, index) => ({ owner, path: ['variants', index, 'file'] }))
  return [{ owner: plugin, path: ['file'] }, ...variants].flatMap(({ owner, path }) =>
    isObject(owner) && Object.hasOwn(owner, 'file') && owner.file !== null
      ? [{ plugin, owner, path: formatPath(path) }]
      : [],
  )
}

/** What is wrong with the name of a file, whatever is there. */
function faultOf({ owner: { file, code } }: Slot): string | undefined {
  if (code != null) return 'expected either code or file, got both'
  if (typeof file !== 'string' || file === '') return `expected the name of a file, got ${describeValue(file)}`
  // A folder goes from one system to another.
  const isAway = isAbsolute(file) || posix.isAbsolute(file) || win32.parse(file).root !== ''
  if (!isAway && !file.includes('\0') && normalize(file).split(/[\\/]/)[0] !== '..') return undefined
  return `expected a file inside the folder, got ${describeValue(file)}`
}

/** Puts the code in; or leaves word of the fault, with which the validator refuses this plugin and no other. */
function fill({ plugin, owner, path }: Slot, came: CodeOrFault, refused: Set<Fields>): void {
  if ('code' in came) {
    delete owner.file
    owner.code = came.code
  } else if (!refused.has(plugin)) {
    refused.add(plugin)
    plugin.file = { path, message: came.fault }
  }
}

function listOf(owner: unknown, name: string): unknown[] {
  const list = isObject(owner) && Object.hasOwn(owner, name) ? owner[name] : undefined
  return Array.isArray(list) ? list : []
}

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
