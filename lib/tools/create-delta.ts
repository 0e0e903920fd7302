import { isUtf8 } from 'node:buffer'
import { createHash } from 'node:crypto'
import { type Places, splitList, splitObject } from '../background/reading/json-splitter.ts'
import { type Matches, matchList } from '../background/reading/list-matcher.ts'
import type { LiveList } from '../background/reading/live-text.ts'
import { asBuffer, type Edit } from '../background/reading/rope.ts'
import { type Delta, MAX_DELTA_BYTES, MAX_EDITS } from '../sources/http/delta.ts'
import { cutPieces, digestOf } from '../sources/http/piecewise-digest.ts'
import { runSteps } from '../time/steps.ts'

/** Bytes that stand in both documents: from where in each, and how many. */
interface Common {
  readonly before: number
  readonly after: number
  readonly length: number
}

/** What is longer than this share of the document is not worth it. */
const LARGEST_SHARE = 0.5

/**
 * Finds what changed from one document's bytes to another's.
 *
 * @returns the change as JSON; undefined where the whole is as good, or is not UTF-8
 */
export function createDelta(before: Uint8Array, after: Uint8Array): string | undefined {
  const [old, now] = [asBuffer(before), asBuffer(after)]
  // Texts are what JSON has.
  if (!isUtf8(now)) return undefined
  const edits = listEdits(old, now)
  if (edits.length > MAX_EDITS) return undefined
  const sha1 = createHash('sha1').update(now).digest('hex')
  const digest = digestOf(runSteps(cutPieces(now)))
  const texts = edits.map(({ start, end, text }) => [start, end, text.toString()] satisfies Delta['edits'][number])
  const delta = JSON.stringify({ length: old.length, sha1, digest, edits: texts } satisfies Delta)
  return Buffer.byteLength(delta) > Math.min(now.length * LARGEST_SHARE, MAX_DELTA_BYTES) ? undefined : delta
}

/** What makes one document the other. Where both are UTF-8, no character is cut. */
export function listEdits(old: Buffer, now: Buffer): readonly Edit[] {
  const edits: Edit[] = []
  let [from, to] = [0, 0]
  for (const common of [...listCommon(old, now), { before: old.length, after: now.length, length: 0 }]) {
    const gap = trim(old, now, from, common.before, to, common.after)
    if (gap.from < gap.fromEnd || gap.to < gap.toEnd) {
      edits.push({ start: gap.from, end: gap.fromEnd, text: now.subarray(gap.to, gap.toEnd) })
    }
    from = common.before + common.length
    to = common.after + common.length
  }
  return edits
}

/** The items of the lists that stand in both, in the same order. */
function listCommon(old: Buffer, now: Buffer): Common[] {
  const [domains, plugins] = [noPlaces(), noPlaces()]
  if (!split(old, splitList(domains), splitList(plugins))) return []
  const found: Matches[] = [domains, plugins].map(() => ({ starts: [], ends: [], live: [] }))
  const [inDomains, inPlugins] = found as [Matches, Matches]
  const [liveDomains, livePlugins] = [liveOf(old, domains), liveOf(old, plugins)]
  if (!split(now, matchList(inDomains, liveDomains), matchList(inPlugins, livePlugins))) return []
  const common: Common[] = []
  for (const [{ starts, ends, live }, { starts: places }] of [
    [inDomains, domains],
    [inPlugins, plugins],
  ] as const) {
    for (const [at, place] of live.entries()) {
      if (place === -1) continue
      const [after, end] = [starts[at] as number, ends[at] as number]
      common.push({ before: places[place] as number, after, length: end - after })
    }
  }
  return inOrder(common.sort((a, b) => a.after - b.after))
}

/** Without those that were moved to the front, and side by side ones as one. */
function inOrder(all: readonly Common[]): Common[] {
  const kept: Common[] = []
  let end = 0
  for (const common of all) {
    if (common.before < end) continue
    kept.push(common)
    end = common.before + common.length
  }
  return kept
}

/** What differs between two places in both, without what is the same at either end. */
function trim(old: Buffer, now: Buffer, from: number, fromEnd: number, to: number, toEnd: number) {
  let [start, stop] = [0, 0]
  const most = Math.min(fromEnd - from, toEnd - to)
  while (start < most && old[from + start] === now[to + start]) start += 1
  while (start > 0 && isInside(now[to + start])) start -= 1
  while (stop < most - start && old[fromEnd - stop - 1] === now[toEnd - stop - 1]) stop += 1
  while (stop > 0 && isInside(now[toEnd - stop])) stop -= 1
  return { from: from + start, fromEnd: fromEnd - stop, to: to + start, toEnd: toEnd - stop }
}

/** Whether a byte goes on with a character of UTF-8: nothing is cut there. */
const isInside = (byte: number | undefined) => byte !== undefined && (byte & 0xc0) === 0x80

const split = (bytes: Buffer, domains: ReturnType<typeof splitList>, plugins: ReturnType<typeof splitList>) =>
  runSteps(splitObject(bytes, { start: 0, end: bytes.length }, { domains, plugins })) !== undefined

const noPlaces = (): Places => ({ starts: [], ends: [] })

/** Objects alone: where anything else ends depends on what stands behind it. */
function liveOf(bytes: Buffer, { starts, ends }: Places): LiveList<object> {
  return {
    starts,
    ends,
    texts: starts.map(() => bytes),
    parts: starts.map((start) => (bytes[start] === 0x7b ? bytes : undefined)),
  }
}
