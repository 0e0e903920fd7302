import { performance } from 'node:perf_hooks'

/**
 * Milliseconds since some moment: what no setting of the machine's clock moves. That of the process as it was when dynacode
 * was loaded: what plugins or the app put in its place later, or take away, is not asked for the time.
 */
export const steadyNow: () => number = performance.now.bind(performance)
