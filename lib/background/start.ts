import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { DocumentError } from '../errors.ts'
import { steadyNow } from '../time/steady-clock.ts'
import type { Activator } from './activator.ts'
import type { Cache, CacheEntry } from './cache/disk.ts'
import type { Received } from './preparation.ts'
import type { HighestVersion } from './trust/highest-version.ts'

/**
 * Makes live what is there without the network: the newest generation of the cache that can be used, else the bootstrap
 * document. Without signatures that is done when this returns, so that the first request finds it.
 *
 * @param signed whether documents are signed: they are verified first, which takes a moment
 * @param failed called with what could not be used
 */
export function startFromDisk({
  cache,
  bootstrap,
  signed,
  activator,
  highest,
  closing,
  failed,
}: {
  cache: Cache | undefined
  bootstrap: object | string | undefined
  signed: boolean
  activator: Activator
  highest: HighestVersion
  closing: AbortSignal
  failed: (section: 'cache' | 'bootstrap', error: unknown) => void
}): Promise<void> | undefined {
  const started = steadyNow()
  const duration = () => steadyNow() - started

  const fromEntry = ({ bytes, sha1, tag, asked }: CacheEntry): Received => ({ bytes, sha1, tag, asked, from: 'cache' })

  function fromCache(): void {
    for (const entry of cache?.read() ?? []) {
      try {
        activator.activateTrusted(fromEntry(entry), duration)
        return
      } catch (error) {
        failed('cache', error)
      }
    }
  }

  /**
   * Looks anew after each refusal: while a document was verified, another process may have written the next one, and
   * have made this one too old thereby.
   */
  async function fromSignedCache(): Promise<void> {
    const tried = new Set<string>()
    for (let next = untried(); next !== undefined && !closing.aborted; next = untried()) {
      tried.add(next.sha1)
      try {
        const update = await activator.activate(fromEntry(next), duration)
        // The process that fetched it may have ended before it came to that.
        if (update !== undefined) await highest.persist(update.version)
        return
      } catch (error) {
        failed('cache', error)
      }
    }

    function untried(): CacheEntry | undefined {
      return cache?.read().find(({ sha1 }) => !tried.has(sha1))
    }
  }

  /** A document inside the app's own code is as trusted as that is; a file is not. */
  function readBootstrap(): Received | undefined {
    if (bootstrap === undefined || activator.activated() !== null) return undefined
    const isFile = typeof bootstrap === 'string'
    const bytes = isFile ? readFile(bootstrap) : Buffer.from(JSON.stringify(bootstrap))
    const sha1 = createHash('sha1').update(bytes).digest('hex')
    return { bytes, sha1, tag: undefined, asked: undefined, from: 'bootstrap', trusted: !isFile }
  }

  function fromBootstrap(): void {
    try {
      const received = readBootstrap()
      if (received !== undefined) activator.activateTrusted(received, duration)
    } catch (error) {
      failed('bootstrap', error)
    }
  }

  async function fromSigned(): Promise<void> {
    await fromSignedCache()
    if (closing.aborted) return
    try {
      const received = readBootstrap()
      if (received !== undefined) await activator.activate(received, duration)
    } catch (error) {
      failed('bootstrap', error)
    }
  }

  if (signed) return fromSigned()
  fromCache()
  fromBootstrap()
  return undefined
}

function readFile(path: string): Uint8Array {
  try {
    return readFileSync(path)
  } catch (cause) {
    throw new DocumentError('', `the bootstrap document cannot be read: ${(cause as Error).message}`, { cause })
  }
}
