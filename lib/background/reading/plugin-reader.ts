import type { ZodError } from 'zod'
import {
  type FailurePolicy,
  MAX_NAME_LENGTH,
  PHASES,
  type Phase,
  type PluginFields,
  type PluginSpec,
  pluginSchema,
  type RefusedPlugin,
  referenceSchema,
} from '../../document.ts'
import { DocumentError } from '../../errors.ts'
import type { Steps } from '../../time/steps.ts'
import { describeMismatch, describeValue } from '../../validation/schema-error.ts'
import { asMeant, findMisspelledInPlugin } from './misspelled.ts'
import { createSpecs, type PluginDefaults, tryReadingTime } from './plugin-specs.ts'

/** What a shared plugin is referred to by. */
export type Id = string | number
/** The document's shared plugins by id; one at fault stands in for itself, so that its references can say why. */
export type Shared = Map<Id, SharedPlugin>

export interface SharedPlugin {
  readonly raw: unknown
  readonly fields: PluginFields | DocumentError
  /** Its place among them. */
  readonly index: number
  referenced: boolean
}

/** A shared plugin that is to be read, or was, and is in order. */
export type SharedPart = { readonly raw: unknown; readonly fields?: PluginFields }

/** Reads the document's shared plugins. */
export function* readShared(parts: readonly SharedPart[], faults: DocumentError[]): Steps<Shared> {
  const shared: Shared = new Map()
  for (const [index, { raw, fields }] of parts.entries()) {
    const path = `plugins[${index}]`
    const id = field(raw, 'id')
    const first = shared.get(id as Id)
    if (!isId(id)) {
      if (nameOf(asMeant(raw)) === undefined) throw unnamed(path, raw)
      const message = `expected a string or number to refer to it by, got ${describeValue(id)}`
      faults.push(findMisspelledInPlugin(raw, path) ?? new DocumentError(`${path}.id`, message))
    } else if (first !== undefined) {
      faults.push(new DocumentError(`${path}.id`, `${describeValue(id)} is the id of plugins[${first.index}] already`))
    } else {
      shared.set(id, { raw, fields: fields ?? readFields(raw, path), index, referenced: false })
    }
    yield
  }
  return shared
}

/** The shared plugins that a domain's list of plugins refers to, by id. */
export function referredIds(plugins: unknown): readonly Id[] {
  const ids = Array.isArray(plugins) ? plugins.flatMap((raw) => referenceOf(raw)?.id ?? []) : []
  return ids.length === 0 ? NO_IDS : Object.freeze([...new Set(ids)])
}

const NO_IDS: readonly Id[] = Object.freeze([])

/** What an entry of a domain's plugins refers to; undefined where it is a plugin of its own. */
function referenceOf(raw: unknown): { readonly id: Id } | undefined {
  if (isId(raw)) return { id: raw }
  const isOwn = field(raw, 'code') != null || field(raw, 'variants') != null || unreadFile(raw, '') !== undefined
  return !isOwn && isId(field(raw, 'id')) ? (raw as { readonly id: Id }) : undefined
}

/** Reads one entry of a domain's plugins: one plugin, or as many as it has variants. */
export function readPlugins(
  raw: unknown,
  domain: string,
  path: string,
  shared: Shared,
  defaults: PluginDefaults,
): readonly (PluginSpec | RefusedPlugin)[] {
  const reference = referenceOf(raw)
  const target = reference && shared.get(reference.id)
  if (target !== undefined) target.referenced = true
  const fields = reference === undefined ? readFields(raw, path) : resolve(reference, path, target)
  const specs = fields instanceof DocumentError ? fields : createSpecs(fields, domain, path, defaults)
  if (!(specs instanceof DocumentError)) return specs
  const own = isId(raw) ? { id: raw } : asMeant(raw)
  return [refuse(raw, own, domain, path, specs, (target ?? shared.get(referenceOf(own)?.id ?? ''))?.raw)]
}

/** The shared plugin that a reference means, with what the reference says over it. */
function resolve(raw: unknown, path: string, target: { fields: PluginFields | DocumentError } | undefined) {
  const misspelled = findMisspelledInPlugin(raw, path)
  if (misspelled !== undefined) return misspelled
  const reference = referenceSchema.safeParse(raw)
  if (!reference.success) return mismatch(reference.error, raw, path)
  if (target === undefined) {
    return new DocumentError(
      path,
      `expected code, or the id of one of the document's plugins, got the id ${describeValue(reference.data.id)}`,
    )
  }
  if (target.fields instanceof DocumentError) return target.fields
  const said = Object.fromEntries(Object.entries(reference.data).filter(([, value]) => value != null))
  return { ...target.fields, ...said, params: { ...target.fields.params, ...reference.data.params } }
}

function readFields(raw: unknown, path: string): PluginFields | DocumentError {
  const fault = unreadFile(raw, path) ?? findMisspelledInPlugin(raw, path)
  if (fault !== undefined) return fault
  const fields = pluginSchema.safeParse(raw)
  return fields.success ? fields.data : mismatch(fields.error, raw, path)
}

/** The fault that a folder's source leaves in a plugin whose code it could not get; any other `file` is an unknown field. */
function unreadFile(raw: unknown, path: string): DocumentError | undefined {
  const file = field(raw, 'file')
  const [inner, message] = [field(file, 'path'), field(file, 'message')]
  if (typeof inner !== 'string' || typeof message !== 'string') return undefined
  return new DocumentError(`${path}.${inner}`, message)
}

function mismatch(error: ZodError, raw: unknown, path: string): DocumentError {
  const { path: inner, message } = describeMismatch(error, raw)
  return new DocumentError(inner === '' ? path : `${path}.${inner}`, message)
}

/**
 * What is left of a plugin that cannot be used: enough to keep its last good version, or to guard its domain.
 *
 * @param own what is said of it here, and `target` at the shared plugin that it refers to, whatever is misspelled there
 */
function refuse(
  raw: unknown,
  own: unknown,
  domain: string,
  path: string,
  error: DocumentError,
  target?: unknown,
): RefusedPlugin {
  const shared = asMeant(target)
  const id = field(own, 'id')
  const name = nameOf(own) ?? nameOf(shared)
  if (name === undefined && !isId(id)) throw unnamed(path, raw)
  const said = (key: string) => field(own, key) ?? field(shared, key)
  const phase = said('phase')
  return Object.freeze({
    domain,
    name,
    id: isId(id) ? id : undefined,
    phase: PHASES.includes(phase as Phase) ? (phase as Phase) : undefined,
    // Whoever writes anything but `open` wants the plugin for its protection, misspelt or not.
    on_failure: (said('on_failure') ?? 'open') === 'open' ? 'open' : ('closed' satisfies FailurePolicy),
    scope: Object.freeze({
      enabled: said('enabled') !== false,
      starts_at: tryReadingTime(said('starts_at')),
      expires_at: tryReadingTime(said('expires_at')),
    }),
    shadow: said('mode') === 'shadow',
    unit: unitOf(said('unit'), said('enabled') !== false),
    error,
  })
}

/** Nobody could tell which plugin this is: a fault of the whole document. */
function unnamed(path: string, raw: unknown): DocumentError {
  if (typeof raw !== 'object' || raw === null || Array.isArray(raw)) {
    return new DocumentError(path, `expected a plugin, or the id of one, got ${describeValue(raw)}`)
  }
  const came = describeValue(field(raw, 'name'))
  return new DocumentError(`${path}.name`, `expected a string of 1 to ${MAX_NAME_LENGTH} characters, got ${came}`)
}

function field(raw: unknown, key: string): unknown {
  return typeof raw === 'object' && raw !== null && Object.hasOwn(raw, key)
    ? (raw as Record<string, unknown>)[key]
    : undefined
}

/** One that is switched off has no part in what becomes of the others. */
function unitOf(name: unknown, enabled: boolean): RefusedPlugin['unit'] {
  return typeof name === 'string' && name !== '' && enabled ? Object.freeze({ name }) : undefined
}

function nameOf(raw: unknown): string | undefined {
  const name = field(raw, 'name')
  return typeof name === 'string' && name !== '' && name.length <= MAX_NAME_LENGTH ? name : undefined
}

function isId(value: unknown): value is Id {
  return typeof value === 'number' || (typeof value === 'string' && value !== '' && value.length <= MAX_NAME_LENGTH)
}
