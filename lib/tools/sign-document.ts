import type { JWK } from 'jose'
import { readDocument } from '../background/reading/validator.ts'
import { checkFreshness } from '../background/trust/verifier.ts'
import type { Document } from '../document.ts'
import { DynacodeError } from '../errors.ts'

/** A private key that signs documents. */
export interface PrivateKey extends JWK {
  readonly alg: string
}

/**
 * Signs the text of a document, as a JWS in flattened JSON serialization (RFC 7515, section 7.2.2).
 *
 * @param key for EdDSA or ES256
 * @throws DocumentError when it is no document; DynacodeError when it has no `general.version`, or no `general.expires` to
 *   come, without which no instance would take it, or when the key is of no use. No message shows anything of the key.
 */
export async function signDocument(text: string, key: PrivateKey): Promise<string> {
  checkSignable(readDocument(text))
  const { FlattenedSign } = await import('jose')
  const { alg, kid } = key
  const jws = new FlattenedSign(Buffer.from(text)).setProtectedHeader(kid === undefined ? { alg } : { alg, kid })
  try {
    return JSON.stringify(await jws.sign(key))
  } catch {
    // jose's own message may show parts of the key.
    throw new DynacodeError('ERR_DYNACODE_SIGNATURE', 'cannot sign with this key: expected one for EdDSA or ES256')
  }
}

/**
 * Checks that instances with keys would take the document, once it is signed.
 *
 * @throws DynacodeError
 */
export function checkSignable(document: Document): void {
  checkFreshness(document, { highest: undefined, active_sha1_of_highest: undefined, sha1: '' }, Date.now())
}
