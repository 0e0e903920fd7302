import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { DynacodeError } from '../../errors.ts'
import { runInSlices } from '../../time/slices.ts'
import { ACCEPT_ENCODING, createDecoders, isDecodingError } from '../content-coding.ts'
import { type Collected, createCollector } from './collector.ts'

/** What tells how a body is to be read. */
export interface BodyHeaders {
  readonly 'content-encoding'?: string | undefined
  readonly 'content-length'?: string | undefined
}

/** Bytes that come out of a decoder at once. Small pieces are many turns of the thread that decodes. */
const DECODED_BYTES = 65_536

/**
 * Reads a whole body, decoding its content codings as it comes.
 *
 * @param max_bytes limit on the decoded bytes; reading stops as soon as it is passed
 * @param known what may come once more; the very same is returned then
 * @throws DynacodeError ERR_DYNACODE_FETCH_TOO_LARGE, ERR_DYNACODE_FETCH_CONTENT
 */
export async function readBody(
  body: Readable,
  headers: BodyHeaders,
  max_bytes: number,
  signal: AbortSignal,
  known?: Collected,
): Promise<Collected> {
  const encoding = headers['content-encoding']
  const decoders = createDecoders(encoding ?? '', DECODED_BYTES)
  const collector = createCollector(max_bytes, decoders?.length === 0 ? readLength(headers) : undefined, known)
  async function collect(source: AsyncIterable<Uint8Array>): Promise<void> {
    for await (const chunk of source) {
      // Nearly always it is small; then this is over at once.
      const steps = collector.add(chunk)
      if (steps.next().done !== true) await runInSlices(steps, signal)
    }
  }
  try {
    if (decoders === undefined)
      throw contentError(`is encoded as ${JSON.stringify(encoding)}, expected ${ACCEPT_ENCODING} or nothing`)
    await pipeline([body, ...decoders, collect] as unknown as [Readable, NodeJS.WritableStream], { signal })
    return await runInSlices(collector.collected(), signal)
  } catch (cause) {
    body.on('error', () => undefined).destroy()
    // Where a decoder stands before the collector, the pipeline tells of the decoder's end and not of why it came.
    const reason = collector.refusal() ?? cause
    throw isDecodingError(reason) ? contentError(`is no valid ${encoding}`, reason) : reason
  }
}

/** Undefined where it is not said, or cannot be read. */
function readLength({ 'content-length': length }: BodyHeaders): number | undefined {
  return length !== undefined && /^\d{1,15}$/.test(length) ? Number(length) : undefined
}

function contentError(what: string, cause?: unknown): DynacodeError {
  return new DynacodeError('ERR_DYNACODE_FETCH_CONTENT', `the body of the plugin API's answer ${what}`, { cause })
}
