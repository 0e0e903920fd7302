import type { Dispatcher } from 'undici'
import * as z from 'zod'
import { type ApiHeaders, type HeadersFunction, headersOption } from '../../sources/http/request-headers.ts'
import { httpAddress, seconds, withMethod } from '../../validation/shapes.ts'

/** Whether this instance reports how it fares, where to and how. Durations are in seconds. */
export interface ReportOptions {
  /**
   * Address that is told how this instance fares: by POST, after whatever changes, and at least once in each
   * `report_interval`. `http:` or `https:`. docs/reporting.md has the format.
   *
   * @default none: nothing is reported
   * @example 'https://studio.internal/reports'
   */
  report_uri?: string
  /** The app's name in its reports. At most 200 characters. */
  report_name?: string
  /**
   * Headers of each report: an object, or a function (async, too) that is asked each time, and once more when the receiver
   * answers 401.
   *
   * @default {}
   */
  report_headers?: ApiHeaders | HeadersFunction
  /**
   * undici dispatcher that carries the reports. That of the API is not used for them: its certificate is for the API. It
   * stays yours to close, and its sockets may keep the process alive.
   *
   * @default an agent of dynacode's own
   */
  report_dispatcher?: Dispatcher
  /**
   * Longest time between reports, in seconds, but for a random tenth. What changes is reported within a tenth of it. The
   * same range as `plugin_api_polling_interval`.
   *
   * @default 60
   */
  report_interval?: number
  /**
   * Deadline of one report, in seconds.
   *
   * @default 5
   */
  report_timeout?: number
}

type Optional = 'report_uri' | 'report_name' | 'report_dispatcher'

/** These options with their defaults filled in. */
export type ReportSettings = Readonly<Required<Omit<ReportOptions, Optional>> & Pick<ReportOptions, Optional>>

/** @internal */
export const reportOptions = {
  report_uri: httpAddress.optional(),
  report_name: z.string().min(1).max(200).optional(),
  report_headers: headersOption,
  report_dispatcher: withMethod<Dispatcher>('dispatch', 'an undici Dispatcher').optional(),
  report_interval: seconds.default(60),
  report_timeout: seconds.default(5),
}
