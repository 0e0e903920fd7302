// What plugin code finds in the phase `body_filter`.
/// <reference path="./every-phase.d.ts" />
/// <reference path="./exit.d.ts" />
import type { Chunk } from '../index.ts'

declare global {
  /** The body, or a part of it: bytes of a stream or Buffer, text of a string or JSON. Return what replaces it. */
  var chunk: Chunk
  /** Whether this is the last chunk. */
  var last: boolean
}
