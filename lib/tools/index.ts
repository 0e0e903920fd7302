import { readDocument } from '../background/reading/validator.ts'
import type { Document } from '../document.ts'
import type { StopWhen } from '../matching/stop-when.ts'
import type { GivenDocument } from '../testing/given.ts'
import { compareDocuments, type Difference } from './compare-documents.ts'
import { createDelta } from './create-delta.ts'
import { countFindings, type Finding } from './finding.ts'
import { inspectDocument } from './inspect-document.ts'
import { type AddedCounts, type JudgedRollout, judgeRollout, type RolloutEvidence } from './judge-rollout.ts'
import { packDocument } from './pack-document.ts'
import { type GivenRequest, type Ran, type RunRequestOptions, runRequest } from './run-request.ts'
import { type PrivateKey, signDocument } from './sign-document.ts'
import { spreadDocument } from './spread-document.ts'

export { createDocumentApi as document_api, type DocumentApi } from './document-api.ts'
export type { Severity } from './lint/rule.ts'
export type { PluginTrace } from './request-trace.ts'
export type {
  AddedCounts,
  Difference,
  Finding,
  GivenRequest,
  JudgedRollout,
  PrivateKey,
  Ran,
  RolloutEvidence,
  RunRequestOptions,
  StopWhen,
}

/** A document, as JSON text or as an object. */
export type GivenText = string | GivenDocument

/** The result of `check_document`. */
export interface Checked {
  readonly findings: readonly Finding[]
  /** The number of plugins in domains, valid or not. */
  readonly plugins: number
  readonly errors: number
  readonly warnings: number
  readonly notes: number
}

/**
 * Finds mistakes in a document and its plugins, like `dynacode check`: what dynacode would refuse, what does not compile, and
 * what the rules find. An invalid document is a finding, not an exception. The option `globals` lists names of your
 * app that plugins may use.
 *
 * @example
 * const { findings } = await check_document({ domains: [{ name: '*', plugins: [plugin] }] })
 */
export async function check_document(
  document: GivenText,
  { globals = [] }: { readonly globals?: readonly string[] } = {},
): Promise<Checked> {
  const { found, plugins } = await inspectDocument({ text: toText(document) }, globals)
  const findings = Object.freeze(found.map(({ finding }) => finding))
  return Object.freeze({ findings, plugins, ...countFindings(found) })
}

/**
 * Sends one request through the plugins of a document, like `dynacode run`, and returns which of them ran, what they changed,
 * and why others did not. Plugins really run, in this process: their `fetch` calls are real.
 *
 * @throws DocumentError if the whole document is refused; OptionError if the request is invalid
 * @example
 * const { plugins, response } = await run_request(document, { url: 'http://shop.example.com/cart' })
 */
export function run_request(document: GivenText, request: GivenRequest, options?: RunRequestOptions): Promise<Ran> {
  return runRequest(toText(document), request, options)
}

/**
 * Compares two documents, like `dynacode diff`, with references resolved and defaults filled in.
 *
 * @throws DocumentError if one of them is refused as a whole
 */
export function compare_documents(before: GivenText, after: GivenText): readonly Difference[] {
  const [old, now] = [before, after].map((each) => readDocument(toText(each))) as [Document, Document]
  return compareDocuments(old, now)
}

/**
 * Splits a document into the files of a folder, like `dynacode unpack`: `dynacode.json`, and a file for the code of each plugin.
 * `folder_source` reads this folder as the same document.
 *
 * @returns contents by file names
 * @throws DocumentError if the whole document is refused, or a plugin has its own field `file`
 */
export function unpack_document(document: GivenText): ReadonlyMap<string, string> {
  const text = toText(document)
  readDocument(text)
  return spreadDocument(JSON.parse(text))
}

/**
 * Builds a document from the files of a folder, like `dynacode pack`. The result of `unpack_document` gives the same document
 * again. Files that the manifest does not name are ignored. Types are removed from TypeScript files.
 *
 * @param files contents by file names, including `dynacode.json`
 * @returns the document's text, on one line
 * @throws DocumentError if a file is missing, or the document or one of its plugins would be refused; DynacodeError if
 *   `dynacode.json` is not valid JSON
 */
export function pack_document(files: ReadonlyMap<string, string>): Promise<string> {
  return packDocument(files)
}

/**
 * Signs a document, like `dynacode sign`. Let your API serve the result.
 *
 * @param key a private JSON Web Key for EdDSA or ES256, with `alg`, as `dynacode keygen` creates it
 * @throws DocumentError if the whole document is refused; DynacodeError if it has no `general.version`, or no `general.expires`
 *   in the future, or if the key cannot be used
 */
export function sign_document(document: GivenText, key: PrivateKey): Promise<string> {
  return signDocument(toText(document), key)
}

/**
 * Finds what changed from one document to the next, for an API that answers `A-IM: dynacode-edits` with 226. `document_api` does
 * so by itself. For documents of 10 MB, it blocks the thread for about 100 ms.
 *
 * @param before the exact bytes that the client has, as identified by its `If-None-Match`
 * @param after the exact bytes that it would get without `A-IM`
 * @returns the body of the answer; undefined if you should send the whole document instead
 * @example
 * const delta = create_delta(before, after)
 * if (delta !== undefined) response.writeHead(226, { IM: 'dynacode-edits', 'Delta-Base': old_etag, ETag: etag }).end(delta)
 */
export function create_delta(before: Uint8Array, after: Uint8Array): string | undefined {
  return createDelta(before, after)
}

/**
 * Judges a guarded rollout by the counts of many processes together, as their reports have them in `rollouts`. Call it with what
 * each report has counted since the one before. Like the test in each process, it may look as often as you like: if the rollout
 * stays within its limits, the probability that a limit is ever called exceeded is at most 1 in 10,000.
 *
 * @param stop_when the plugin's `rollout.stop_when`
 * @param evidence of the call before; undefined at first
 * @param added what was counted since the call before
 * @throws OptionError if one of them is invalid
 * @example
 * const { evidence, exceeded } = judge_rollout(stop_when, known, { inside, control })
 * if (exceeded !== null) console.log(`stop it: ${exceeded.condition}`)
 */
export function judge_rollout(
  stop_when: StopWhen,
  evidence: RolloutEvidence | undefined,
  added: AddedCounts,
): JudgedRollout {
  return judgeRollout(stop_when, evidence, added)
}

function toText(document: GivenText): string {
  return typeof document === 'string' ? document : JSON.stringify(document)
}
