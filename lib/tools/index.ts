import { readDocument } from '../background/reading/validator.ts'
import type { Document } from '../document.ts'
import type { GivenDocument } from '../testing/given.ts'
import { compareDocuments, type Difference } from './compare-documents.ts'
import { countFindings, type Finding } from './finding.ts'
import { inspectDocument } from './inspect-document.ts'
import { packDocument } from './pack-document.ts'
import { type GivenRequest, type Ran, type RunRequestOptions, runRequest } from './run-request.ts'
import { type PrivateKey, signDocument } from './sign-document.ts'
import { spreadDocument } from './spread-document.ts'

export { createDocumentApi as document_api, type DocumentApi } from './document-api.ts'
export type { Severity } from './lint/rule.ts'
export type { PluginTrace } from './request-trace.ts'
export type { Difference, Finding, GivenRequest, PrivateKey, Ran, RunRequestOptions }

/** A document: its JSON text, or what that means. */
export type GivenText = string | GivenDocument

/** What was found in a document without running it. */
export interface Checked {
  readonly findings: readonly Finding[]
  /** Plugins in domains, sound or not. */
  readonly plugins: number
  readonly errors: number
  readonly warnings: number
  readonly notes: number
}

/**
 * Looks for mistakes in a document and its plugins, as `dynacode check`: what would be refused, what does not compile, and
 * what the rules find. Never throws on a bad document: that is a finding.
 *
 * @param options.globals the app's own names that plugins may use
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
 * Sends one request through the plugins of a document, as `dynacode run`: which of them ran, what they changed, and why
 * others did not. Plugins run for real, in this process: what they fetch, they fetch.
 *
 * @throws DocumentError when the document is refused as a whole; OptionError for what is no request
 * @example
 * const { plugins, response } = await run_request(document, { url: 'http://shop.example.com/cart' })
 */
export function run_request(document: GivenText, request: GivenRequest, options?: RunRequestOptions): Promise<Ran> {
  return runRequest(toText(document), request, options)
}

/**
 * Compares what two documents mean, as `dynacode diff`: where references lead, and which defaults hold.
 *
 * @throws DocumentError when one of them is refused as a whole
 */
export function compare_documents(before: GivenText, after: GivenText): readonly Difference[] {
  const [old, now] = [before, after].map((each) => readDocument(toText(each))) as [Document, Document]
  return compareDocuments(old, now)
}

/**
 * Spreads a document over the files of a folder, as `dynacode unpack`: `dynacode.json`, and one for the code of each plugin.
 * `folder_source` makes the same document of it.
 *
 * @returns contents by the files' names
 * @throws DocumentError when it is refused as a whole, or a plugin has a field `file` of its own
 */
export function unpack_document(document: GivenText): ReadonlyMap<string, string> {
  const text = toText(document)
  readDocument(text)
  return spreadDocument(JSON.parse(text))
}

/**
 * Makes a document of the files of a folder, as `dynacode pack`: of what `unpack_document` returns, the same one again.
 * Files that the manifest does not name are left out; TypeScript is taken without its types.
 *
 * @param files contents by the files' names, `dynacode.json` among them
 * @returns the document's text, on one line
 * @throws DocumentError when a file is missing, or the document or a plugin of it would be refused; DynacodeError when
 *   `dynacode.json` is no JSON
 */
export function pack_document(files: ReadonlyMap<string, string>): Promise<string> {
  return packDocument(files)
}

/**
 * Signs a document, as `dynacode sign`. What comes out is what the API serves.
 *
 * @param key a private JSON Web Key for EdDSA or ES256, with `alg`, as `dynacode keygen` makes it
 * @throws DocumentError when it is refused as a whole; DynacodeError when it has no `general.version`, or no
 *   `general.expires` to come, or when the key is of no use
 */
export function sign_document(document: GivenText, key: PrivateKey): Promise<string> {
  return signDocument(toText(document), key)
}

function toText(document: GivenText): string {
  return typeof document === 'string' ? document : JSON.stringify(document)
}
