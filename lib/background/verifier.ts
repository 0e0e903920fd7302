import type { TrustedKeys } from '../trusted-keys.ts'
export interface Verified {
  readonly text_bytes: Uint8Array
  readonly kid: string | undefined
}
export interface Verifier {
  verify(bytes: Uint8Array): Promise<Verified>
}
export function createVerifier(_trusted_keys: TrustedKeys): Verifier {
  throw new Error('not yet')
}
export function checkFreshness(
  _document: { version: unknown; expires: number | undefined },
  _known: { highest: number | undefined; active_sha1_of_highest: string | undefined; sha1: string },
  _now_ms: number,
): void {}
