import type { ServerResponse } from 'node:http'
import { isNodeStream } from './stream.ts'

type Destroyable = NodeJS.ReadableStream & { destroy?(...given: unknown[]): unknown }

/** A stream that a plugin may put another body in the place of. Koa would destroy it at once. */
export interface KeptStream {
  readonly stream: Destroyable
  readonly own: PropertyDescriptor | undefined
  /** Whether it was to be destroyed meanwhile. */
  replaced: boolean
  /** How many wait for its file to be open: whoever destroys a file's stream does it once more then. */
  readonly waiting: number
}

/** Keeps a body that is a stream from being destroyed while nothing is wrong with it; null where it is none. */
export function keepStream(body: unknown, res: ServerResponse): KeptStream | null {
  if (typeof body !== 'object' || !isNodeStream(body)) return null
  const stream: Destroyable = body
  const { destroy } = stream
  if (typeof destroy !== 'function') return null
  const own = Object.getOwnPropertyDescriptor(stream, 'destroy')
  const kept: KeptStream = { stream, own, replaced: false, waiting: stream.listenerCount('open') }
  const keep = (...given: unknown[]) => {
    if (given[0] != null || res.destroyed) return destroy.apply(stream, given)
    kept.replaced = true
    return stream
  }
  Object.defineProperty(stream, 'destroy', { value: keep, configurable: true, writable: true })
  return kept
}

/** Ends that, and destroys the stream where another body has taken its place. */
export function releaseStream({ stream, own, replaced, waiting }: KeptStream, isReplaced: boolean): void {
  if (own === undefined) Reflect.deleteProperty(stream, 'destroy')
  else Object.defineProperty(stream, 'destroy', own)
  if (!replaced) return
  if (isReplaced) stream.destroy?.()
  else for (const listener of stream.listeners('open').slice(waiting)) stream.off('open', listener as () => void)
}
