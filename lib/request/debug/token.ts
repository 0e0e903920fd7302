/** What a signed debug token says it is (`typ`, RFC 8725, 3.11), so that nothing else signed by the same key can be one. */
export const DEBUG_TOKEN_TYPE = 'dynacode-debug+jwt'
/** The longest that a signed debug token may still be good for, in milliseconds: it is seen by everything on its way. */
export const LONGEST_DEBUG_TOKEN_MS = 24 * 3600 * 1000
