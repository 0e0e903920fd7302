import { resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import * as z from 'zod'
import { DynacodeError } from '../../errors.ts'
import { checkArguments } from '../../validation/arguments.ts'
import type { Source } from '../contract.ts'
import { type Look, lookAt, type Reads } from './look.ts'
import { watchFolder } from './watch.ts'

/** Options of `folder_source`. */
export interface FolderSourceOptions {
  /**
   * Limit on the size of all files together, in bytes.
   *
   * @default 16 * 1024 * 1024
   */
  max_bytes?: number
}

const given = z.strictObject({
  path: z.string().min(1),
  options: z.strictObject({
    max_bytes: z
      .int()
      .positive()
      .default(16 * 1024 * 1024),
  }),
})

/** A change counts once it was seen twice, this long apart: editors empty a file before they write it. In milliseconds. */
const SETTLE_MS = 50

/**
 * Returns a source that reads a folder. The file `dynacode.json` in it is the document. A plugin or variant may have `file`,
 * the name of a file in the folder, instead of `code`. A change goes live about 0.1 seconds after you save it.
 *
 * @param path the folder, or a symbolic link to it
 * @throws OptionError if an argument is wrong. A missing folder is not an error: it is loaded once it exists
 * @example
 * const dyna = dynacode({ source: folder_source('/srv/plugins') })
 */
export function folder_source(path: string, options: FolderSourceOptions = {}): Source {
  const { max_bytes } = checkArguments('folder_source(path, options)', given, { path, options }).options
  // The folder stays the same one, wherever the process goes.
  const folder = resolve(path)
  const watches = new Set<() => void>()
  /** Tag of what the folder was last found to be for good. */
  let settled: string | undefined
  let last_fetched: string | undefined
  let reads: Reads = new Map()

  async function look(signal: AbortSignal): Promise<Look> {
    const looked = await lookAt(folder, max_bytes, reads, signal)
    reads = looked.reads
    return looked
  }

  /**
   * Looks until two looks in a row find the same: whatever has that time between them stood still as a whole. A fault counts
   * only if the files are the same, too: while versions come and go, each may be deleted as it is read.
   */
  async function settle(signal: AbortSignal): Promise<Look> {
    let before = await look(signal)
    while (before.tag !== settled) {
      await sleep(SETTLE_MS, undefined, { signal, ref: false })
      const now = await look(signal)
      if (now.tag === before.tag && (now.mark === before.mark || now.found instanceof Uint8Array)) settled = now.tag
      before = now
    }
    return before
  }

  return Object.freeze({
    async fetch(signal, last) {
      const { found, tag } = await settle(signal)
      last_fetched = tag
      for (const fetched of watches) fetched()
      if (found instanceof DynacodeError) throw found
      return tag === last ? { unchanged: true } : { bytes: found, tag }
    },
    watch(changed) {
      const watch = watchFolder(folder, settle, () => last_fetched, changed)
      watches.add(watch.fetched)
      return () => {
        watches.delete(watch.fetched)
        watch.stop()
      }
    },
  } satisfies Source)
}
