import type { Dispatcher } from 'undici'
import * as z from 'zod'
import { type ApiHeaders, type HeadersFunction, headersOption } from '../../sources/http/request-headers.ts'
import { httpAddress, seconds, withMethod } from '../../validation/shapes.ts'

/** Whether, where and how this instance reports its state. Durations are in seconds. */
export interface ReportOptions {
  /**
   * URL to which this instance sends reports of its state by POST: after each change, and at least once per `report_interval`.
   * `http:` or `https:`. See docs/reporting.md for the format.
   *
   * @default none: nothing is reported
   * @example 'https://studio.internal/reports'
   */
  report_uri?: string
  /** The app's name in its reports. At most 200 characters. */
  report_name?: string
  /**
   * Headers for each report: an object, or a function (may be async) that is called for each report, and once more if the
   * receiver answers 401.
   *
   * @default {}
   */
  report_headers?: ApiHeaders | HeadersFunction
  /**
   * undici dispatcher that sends the reports. The API's dispatcher is not used for them, because its certificate is for the
   * API. You close it. Its sockets may keep the process alive.
   *
   * @default none: Node's own HTTP client
   */
  report_dispatcher?: Dispatcher
  /**
   * Longest time between reports, in seconds, plus a random delay of up to a tenth of it. A change is reported after 0.1
   * seconds plus such a delay. The same range as `plugin_api_polling_interval`.
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
