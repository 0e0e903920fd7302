import { DynacodeError } from '../../errors.ts'

/** Thrown by exit() to stop the plugin's code; by itself no error. */
export const EXIT = Object.freeze(new DynacodeError('ERR_DYNACODE_EXIT', 'exit() was called: let this pass'))
