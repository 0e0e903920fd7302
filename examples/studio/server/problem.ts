interface Details {
  /** Which fields are wrong, by their path in the body, and how. */
  readonly fields?: Readonly<Record<string, string>>
  readonly headers?: Readonly<Record<string, string>>
  /** What is there now, where that is why it cannot be done. */
  readonly current?: object
  /** What the checks found. */
  readonly findings?: readonly object[]
}

/** What is wrong with a request, in words for its sender (RFC 9457 has the form in which it is answered). */
export class Problem extends Error {
  readonly status: number
  readonly details: Details

  constructor(status: number, message: string, details: Details = {}) {
    super(message)
    this.name = 'Problem'
    this.status = status
    this.details = Object.freeze({ ...details })
  }
}
