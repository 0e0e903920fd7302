/** The version of this package. Written down rather than read: an app may be bundled without its package.json. */
export const VERSION = '0.2.0'
