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
  try {
    if (decoders === undefined)
      throw contentError(`is encoded as ${JSON.stringify(encoding)}, expected ${ACCEPT_ENCODING} or nothing`)
    const chunks: Uint8Array[] = []
    await pipeline([body, ...decoders, collect(chunks, max_bytes)] as unknown as [Readable, NodeJS.WritableStream], {
      signal,
    })
    return Buffer.concat(chunks)
  } catch (cause) {
    body.on('error', () => undefined).destroy()
    throw isDecodingError(cause) ? contentError(`is no valid ${encoding}`, cause) : cause
  }
}

function contentError(what: string, cause?: unknown): DynacodeError {
  return new DynacodeError('ERR_DYNACODE_FETCH_CONTENT', `the body of the plugin API's answer ${what}`, { cause })
}

function collect(chunks: Uint8Array[], max_bytes: number) {
  return async (source: AsyncIterable<Uint8Array>) => {
    let bytes = 0
    for await (const chunk of source) {
      bytes += chunk.length
      if (bytes > max_bytes) {
        const message = `the document has more than ${max_bytes} bytes (plugin_api_max_bytes)`
        throw new DynacodeError('ERR_DYNACODE_FETCH_TOO_LARGE', message)
      }
      chunks.push(chunk)
    }
  }
}
