import * as z from 'zod'
import { type TrustedKeys, trustedKeysSchema } from '../../validation/trusted-keys.ts'

/** The option `debug_requests`. */
export interface DebugOptions {
  /**
   * Name of the request header with the token, and of the response header with the result.
   *
   * @default 'dynacode-debug'
   */
  readonly header?: string
  /** Valid tokens. At least 16 characters each; use 32 random ones. */
  readonly tokens?: readonly string[]
  /** Public keys for signed tokens. `dynacode keygen` creates keys, `dynacode debug-token` signs tokens. */
  readonly trusted_keys?: TrustedKeys
}

/** Headers that others need, and that would be taken away from the app. */
const NEEDED =
  /^(host|connection|content-.*|transfer-encoding|cookie|authorization|accept.*|if-.*|range|expect|upgrade)$/i

/** The longest token of either kind. */
export const LONGEST_TOKEN = 1024

/** @internal */
export const debugOptionsSchema = z
  .strictObject({
    header: z
      .string()
      .regex(/^[\w-]{1,64}$/, 'the name of a header, of letters, digits and hyphens')
      .refine((name) => !NEEDED.test(name), 'the name of a header that nobody else needs')
      .transform((name) => name.toLowerCase())
      .default('dynacode-debug'),
    tokens: z
      .array(
        z
          .string()
          .refine(
            (text) => text.length >= 16 && text.length <= LONGEST_TOKEN,
            `a token of 16 to ${LONGEST_TOKEN} characters`,
          )
          .regex(/^[\w.~+/=-]+$/, 'a token of letters, digits and -._~+/='),
      )
      .min(1)
      .max(16)
      .optional(),
    trusted_keys: trustedKeysSchema.optional(),
  })
  .refine(({ tokens, trusted_keys }) => tokens !== undefined || trusted_keys !== undefined, 'tokens, or trusted_keys')
