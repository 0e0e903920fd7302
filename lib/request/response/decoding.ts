import { pipeline, Transform } from 'node:stream'

/**
 * Decodes a stream. One that cannot be decoded goes on as it came, unless some of it was sent by then; nothing at all needs no
 * decoding.
 *
 * @param givenUp called with why it cannot be decoded, before anything is sent; what it throws breaks the stream
 */
export function createDecodingStream(
  decoders: readonly NodeJS.ReadWriteStream[],
  givenUp: (error: unknown) => void,
): Transform {
  // What came, for as long as nothing of it was decoded; null from then on.
  let kept: Uint8Array[] | null = []
  let isGivenUp = false
  let settle: (error?: Error | null) => void = () => undefined
  const input = decoders[0] as NodeJS.ReadWriteStream
  const output = decoders.at(-1) as NodeJS.ReadWriteStream

  function failed(error: Error): void {
    if (kept === null) {
      stream.destroy(error)
      return
    }
    const raw = kept
    kept = null
    isGivenUp = true
    try {
      givenUp(error)
    } catch (refusal) {
      stream.destroy(refusal as Error)
      return
    }
    for (const chunk of raw) stream.push(chunk)
    settle()
  }

  const stream = new Transform({
    transform(chunk: Uint8Array, _encoding, done) {
      if (isGivenUp) return done(null, chunk)
      kept?.push(chunk)
      settle = once(done)
      input.write(chunk, (error) => {
        if (error == null) settle()
      })
    },
    flush(done) {
      settle = once(done)
      if (isGivenUp || kept?.length === 0) settle()
      else input.end()
    },
    read(size) {
      output.resume()
      Transform.prototype._read.call(this, size)
    },
    destroy(error, done) {
      input.end()
      for (const decoder of decoders) (decoder as Transform).destroy()
      done(error)
    },
  })
  output.on('data', (chunk: Uint8Array) => {
    kept = null
    if (!stream.push(chunk)) output.pause()
  })
  output.on('end', () => settle())
  if (decoders.length > 1) pipeline(decoders as [Transform, Transform], (error) => error && failed(error))
  else output.on('error', failed)
  return stream
}

function once(done: (error?: Error | null) => void): (error?: Error | null) => void {
  let called = false
  return (error) => {
    if (!called) done(error)
    called = true
  }
}
