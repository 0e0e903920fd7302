import { createHash, randomUUID } from 'node:crypto'
import * as z from 'zod'

/** What the key says of a document that is stored in parts. */
export type Manifest = z.infer<typeof schema>

/** Stands before a manifest; no JSON begins like this. */
const MARK = 'dynacode-parts/1 '
/** An item may be 1 MiB unless the server was told otherwise, its key and header included. */
const PART_BYTES = 1_000_000

const schema = z.strictObject({
  /** Of this publication alone, so that two at once do not write each other's parts. */
  id: z.uuid(),
  /** Bytes of each part. */
  sizes: z.array(z.int().positive()).min(1).max(10_000),
  /** Of the whole document, in hex. */
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
})

/** The document in parts; undefined where it fits into one item. */
export function splitDocument(
  bytes: Buffer,
): { readonly manifest: Manifest; readonly parts: readonly Buffer[] } | undefined {
  if (bytes.length <= PART_BYTES) return undefined
  const count = Math.ceil(bytes.length / PART_BYTES)
  const parts = Array.from({ length: count }, (_, index) =>
    bytes.subarray(index * PART_BYTES, (index + 1) * PART_BYTES),
  )
  const sha256 = createHash('sha256').update(bytes).digest('hex')
  return { manifest: { id: randomUUID(), sizes: parts.map(({ length }) => length), sha256 }, parts }
}

/** The keys of the parts, in order. */
export function nameParts(key: string, { id, sizes }: Manifest): string[] {
  return sizes.map((_, index) => `${key}:${id}:${index}`)
}

/** The value of a key whose document is in parts. */
export function encodeManifest(manifest: Manifest): Buffer {
  return Buffer.from(MARK + JSON.stringify(manifest))
}

/** The manifest, if the value is one and not the document itself. */
export function readManifest(value: Uint8Array): Manifest | 'unreadable' | undefined {
  const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength)
  if (!bytes.subarray(0, MARK.length).equals(Buffer.from(MARK))) return undefined
  try {
    return schema.parse(JSON.parse(bytes.subarray(MARK.length).toString()))
  } catch {
    return 'unreadable'
  }
}
