import { readFileSync } from 'node:fs'
import { z } from 'zod'
import type { Action, ActionInput } from '../../shared/actions.ts'
import { ADDRESS, belowPattern, HEADER_NAME, HEADER_VALUE, numberUpTo, PATH } from './inputs.ts'

/** A plugin that an action makes. What was filled in is in its parameters and conditions, and never in its code. */
export interface MadePlugin {
  readonly name: string
  readonly phase: string
  /** As a document has it, without name and phase. */
  readonly fields: Readonly<Record<string, unknown>>
}

/** An action that the studio comes with. */
export interface Recipe extends Omit<Action, 'template'> {
  /** Of what was filled in, by the names of the inputs. */
  readonly schema: z.ZodType<Record<string, unknown>>
  // biome-ignore lint/suspicious/noExplicitAny: what its own schema lets through
  make(values: any): MadePlugin
}

/** Runs before what others have written. */
const FIRST = 1000

/** Makes the recipes; their code is that of the cookbook. */
export function createRecipes(): readonly Recipe[] {
  const block = readCode('block-ip/block.js')
  const deny = readCode('deny/deny.js')
  const maintenance = readCode('maintenance/maintenance.js')
  const redirect = readCode('redirect/redirect.js')
  const log = readCode('log-one/log.js')
  const delay = readCode('chaos/delay.js')
  const fail = readCode('chaos/fail.js')
  const header = readFileSync(new URL('set-header.js', import.meta.url), 'utf8')

  return [
    recipe({
      kind: 'block-address',
      title: 'Block an address',
      what: 'Answers 403 to an address, or a range of them',
      action: 'Block',
      inputs: [input('address', 'Address', { type: 'address', placeholder: '192.0.2.7' })],
      schema: z.object({ address: ADDRESS }),
      make: ({ address }) => ({
        name: `block ${address}`,
        phase: 'access',
        fields: { code: block, when: { ips: address }, priority: FIRST, on_failure: 'closed' },
      }),
    }),
    recipe({
      kind: 'refuse-path',
      title: 'Refuse a path',
      what: 'Answers 403 to a path and everything below it',
      action: 'Refuse',
      inputs: [input('path', 'Path', { type: 'path', placeholder: '/admin' })],
      schema: z.object({ path: PATH }),
      make: ({ path }) => ({
        name: `refuse ${path}`,
        phase: 'access',
        fields: { code: deny, when: { paths: belowPattern(path) }, priority: FIRST, on_failure: 'closed' },
      }),
    }),
    recipe({
      kind: 'maintenance',
      title: 'Maintenance page',
      what: 'Answers 503 with a page to everyone but one address or range',
      action: 'Show the page',
      inputs: [
        input('but', 'Addresses that still get in', {
          type: 'address',
          placeholder: '10.0.0.0/8',
          hint: 'Default: none.',
        }),
      ],
      schema: z.object({ but: z.union([z.literal(''), ADDRESS]).default('') }),
      make: ({ but }) => ({
        name: 'maintenance page',
        phase: 'access',
        fields: {
          code: maintenance,
          ...(but === '' ? {} : { when: { not: { ips: but } } }),
          params: { seconds: 600 },
          priority: FIRST,
          on_failure: 'closed',
        },
      }),
    }),
    recipe({
      kind: 'redirect',
      title: 'Redirect',
      what: 'Leads a path, and everything below it, to another one of the same host',
      action: 'Redirect',
      inputs: [
        input('from', 'From', { type: 'path', placeholder: '/old' }),
        input('to', 'To', { type: 'path', placeholder: '/new' }),
      ],
      schema: z
        .object({ from: PATH, to: PATH })
        // Of what lies below itself, a redirect would have no end.
        .refine(({ from, to }) => to !== from && !to.startsWith(from === '/' ? '/' : `${from}/`), {
          path: ['to'],
          message: 'expected a path that is not below the first one',
        }),
      make: ({ from, to }) => ({
        name: `redirect ${from}`,
        phase: 'rewrite',
        fields: { code: redirect, when: { paths: belowPattern(from) }, params: { from, to } },
      }),
    }),
    recipe({
      kind: 'add-header',
      title: 'Add a header',
      what: 'Sets a header of every response',
      action: 'Add',
      inputs: [
        input('name', 'Header', { placeholder: 'X-Robots-Tag' }),
        input('value', 'Value', { placeholder: 'noindex' }),
      ],
      schema: z.object({ name: HEADER_NAME, value: HEADER_VALUE }),
      make: ({ name, value }) => ({
        name: `header ${name}`,
        phase: 'header_filter',
        fields: { code: header, params: { name, value } },
      }),
    }),
    recipe({
      kind: 'log-client',
      title: 'Log one client',
      what: 'Logs each request of an address: method, path, status; no query, no cookie',
      action: 'Log',
      inputs: [input('address', 'Address', { type: 'address', placeholder: '192.0.2.7' })],
      schema: z.object({ address: ADDRESS }),
      make: ({ address }) => ({
        name: `log ${address}`,
        phase: 'log',
        fields: { code: log, when: { ips: address }, params: { watched: 'address' } },
      }),
    }),
    recipe({
      kind: 'delay',
      title: 'Delay some requests',
      what: 'Makes a share of the requests wait, chosen at random',
      action: 'Delay',
      inputs: [
        input('percent', 'Share, in %', { type: 'number', value: '1' }),
        input('delay_ms', 'Delay, in ms', { type: 'number', value: '300' }),
      ],
      schema: z.object({ percent: numberUpTo(0.1, 100, 0.1), delay_ms: numberUpTo(1, 4000) }),
      make: ({ percent, delay_ms }) => ({
        name: 'delay some requests',
        phase: 'access',
        fields: { code: delay, rollout: { percent, by: 'random' }, params: { delay_ms }, on_failure: 'open' },
      }),
    }),
    recipe({
      kind: 'fail',
      title: 'Fail some requests',
      what: 'Answers 500 to a share of the requests, chosen at random',
      action: 'Fail them',
      inputs: [input('percent', 'Share, in %', { type: 'number', value: '1' })],
      schema: z.object({ percent: numberUpTo(0.1, 100, 0.1) }),
      make: ({ percent }) => ({
        name: 'fail some requests',
        phase: 'access',
        fields: { code: fail, rollout: { percent, by: 'random' }, on_failure: 'open' },
      }),
    }),
  ]
}

/** So that `make` gets what its own schema lets through. */
function recipe<T extends Record<string, unknown>>(
  given: Omit<Recipe, 'schema' | 'make'> & { schema: z.ZodType<T>; make(values: T): MadePlugin },
): Recipe {
  return Object.freeze(given)
}

function input(name: string, label: string, part: Partial<ActionInput> = {}): ActionInput {
  return { name, label, hint: null, placeholder: null, type: 'text', value: '', ...part }
}

function readCode(file: string): string {
  return readFileSync(new URL(`../../../cookbook/${file}`, import.meta.url), 'utf8')
}
