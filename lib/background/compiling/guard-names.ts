/** Names of the guard's functions inside instrumented code. None of them occurs in the code itself. */
export interface GuardNames {
  /** What all of them begin with. */
  readonly prefix: string
  /** The record of the run. */
  readonly run: string
  /** Called when the run's quota is used up. */
  readonly over: string
  /** Called with the result of calls that may be promises nobody waits for. */
  readonly track: string
  /** Called before something is done with promises that needs room on the stack. */
  readonly room: string
  /** Called with what an async function returns. */
  readonly give: string
  /** Called with what an async function throws. */
  readonly fail: string
  /** Called at the end of an async function. */
  readonly end: string
  /** Called first where async functions may throw before their bodies begin. */
  readonly suspect: string
  /** Called with what the code is about to await. */
  readonly hold: string
  /** Called with what was awaited. */
  readonly resume: string
  /** Called with functions that are handed over as event listeners, and with those that are taken back. */
  readonly listen: string
  /** Called with the source that the code hands to `eval`. */
  readonly evaluate: string
  /** Called with what the code takes for `Function`. */
  readonly compile: string
  /** What an async function has thrown. */
  readonly caught: string
}
