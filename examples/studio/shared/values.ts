import { z } from 'zod'

/** A time: ISO 8601, once it is JSON. */
export const TIME = z.iso.datetime()
