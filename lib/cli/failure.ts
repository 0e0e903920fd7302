/** Why a command could not do what it was asked for: one sentence for its user, shown without a stack trace. */
export class Failure extends Error {
  /** 1: it was tried and failed; 2: wrong usage, or what was given cannot be read. */
  readonly exit_code: 1 | 2

  constructor(message: string, exit_code: 1 | 2 = 2, cause?: unknown) {
    super(message, cause === undefined ? {} : { cause })
    this.name = 'Failure'
    this.exit_code = exit_code
  }
}
