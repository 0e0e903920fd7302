import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { ACCEPT_ENCODING, createDecoders, isDecodingError } from '../content-coding.ts'
import { DynacodeError } from '../errors.ts'

/**
 * Reads a whole body, decoding its content codings as it comes.
 *
 * @param encoding the Content-Encoding header
 * @param max_bytes limit on the decoded bytes; reading stops as soon as it is passed
 * @throws DynacodeError ERR_DYNACODE_FETCH_TOO_LARGE, ERR_DYNACODE_FETCH_CONTENT
 */
export async function readBody(
  body: Readable,
  encoding: string | undefined,
  max_bytes: number,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const decoders = createDecoders(encoding ?? '')
  const collector = createCollector(max_bytes)
  try {
    if (decoders === undefined)
      throw contentError(`is encoded as ${JSON.stringify(encoding)}, expected ${ACCEPT_ENCODING} or nothing`)
    await pipeline([body, ...decoders, collector.collect] as unknown as [Readable, NodeJS.WritableStream], { signal })
    return Buffer.concat(collector.chunks)
  } catch (cause) {
    body.on('error', () => undefined).destroy()
    // Where a decoder stands before the collector, the pipeline tells of the decoder's end and not of why it came.
    const reason = collector.refusal() ?? cause
    throw isDecodingError(reason) ? contentError(`is no valid ${encoding}`, reason) : reason
  }
}

function contentError(what: string, cause?: unknown): DynacodeError {
  return new DynacodeError('ERR_DYNACODE_FETCH_CONTENT', `the body of the plugin API's answer ${what}`, { cause })
}

/** Gathers a body's chunks, up to a limit of bytes. */
function createCollector(max_bytes: number) {
  const chunks: Uint8Array[] = []
  let refusal: DynacodeError | undefined
  return {
    chunks,
    refusal: () => refusal,
    async collect(source: AsyncIterable<Uint8Array>) {
      let bytes = 0
      for await (const chunk of source) {
        bytes += chunk.length
        if (bytes > max_bytes) {
          const message = `the document has more than ${max_bytes} bytes (plugin_api_max_bytes)`
          refusal = new DynacodeError('ERR_DYNACODE_FETCH_TOO_LARGE', message)
          throw refusal
        }
        chunks.push(chunk)
      }
    },
  }
}
