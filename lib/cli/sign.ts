import { Option } from 'commander'
import type { Document } from '../document.ts'
import { messageOf } from '../errors.ts'
import type { PrivateKey } from '../tools/sign-document.ts'
import type { TrustedKeys } from '../validation/trusted-keys.ts'
import type { AddCommand, CommonOptions } from './command.ts'
import { Failure } from './failure.ts'
import { type Input, readInput } from './input.ts'
import { ALGORITHMS, createKeys, readPrivateKey, readTrustedKeys } from './keys.ts'
import { writeOutput } from './output.ts'
import { pack } from './pack.ts'

interface KeygenOptions extends CommonOptions {
  readonly alg: string
  readonly kid?: string
}

interface SignOptions extends CommonOptions {
  readonly key: string
  readonly output?: string
  readonly documentVersion?: string
  readonly expires?: string
}

interface VerifyOptions extends CommonOptions {
  readonly keys: string
}

/** Adds `keygen`, `sign` and `verify`. */
export const addSign: AddCommand = (program, terminal, finish) => {
  program
    .command('keygen')
    .summary('make a key pair to sign documents with')
    .description('Makes a key pair: private.json signs documents, trusted-keys.json is for the option trusted_keys.')
    .argument('[folder]', 'where to write them', '.')
    .addOption(new Option('--alg <name>', 'the algorithm').choices(ALGORITHMS).default('EdDSA'))
    .option('--kid <name>', 'a name for the key; the day unless given')
    .action(async (folder: string, _: unknown, command) => {
      const { alg, kid = new Date().toISOString().slice(0, 10), json } = command.optsWithGlobals() as KeygenOptions
      const { private_key, trusted_keys } = await createKeys(alg, kid)
      const files = { private_key: `${folder}/private.json`, trusted_keys: `${folder}/trusted-keys.json` }
      await writeOutput(files.private_key, `${JSON.stringify(private_key)}\n`, {
        mode: 0o600,
        is_new: true,
        with_folders: true,
      })
      await writeOutput(files.trusted_keys, `${JSON.stringify(trusted_keys)}\n`, { is_new: true })
      if (json) terminal.print(JSON.stringify({ ...files, alg, kid }))
      else
        terminal.print(
          `${files.private_key}: keep it secret, and away from the API\n${files.trusted_keys}: for trusted_keys`,
        )
      finish(0)
    })

  program
    .command('sign')
    .summary('sign a document')
    .description('Signs a document, or that of a folder. It needs general.version and general.expires.')
    .argument('<source>', 'a file, a folder with a dynacode.json, a URL, or - for stdin')
    .requiredOption('--key <file>', 'the private key, as keygen writes it')
    .option('-o, --output <file>', 'where to write it; stdout unless given')
    .option('--document-version <number>', 'sets general.version: a number, or now')
    .option('--expires <time>', 'sets general.expires: a time, or a number of days such as 30d')
    .action(async (source: string, _: unknown, command) => {
      const options = command.optsWithGlobals() as SignOptions
      const { key, output, documentVersion, expires, json } = options
      const private_key = await readPrivateKey(key)
      const input = await readInput(source, options)
      const text = await setGeneral(input.manifest === undefined ? input.text : await pack(source), source, {
        ...(documentVersion === undefined ? {} : { version: readVersion(documentVersion) }),
        ...(expires === undefined ? {} : { expires: readExpiry(expires) }),
      })
      const { version, expires: end } = await checkFresh(text, source)
      const signed = await signWith(text, private_key, key)
      if (output === undefined) {
        terminal.print(signed)
      } else {
        await writeOutput(output, signed)
        const said = { file: output, version, expires: new Date(end as number).toISOString() }
        terminal.print(json ? JSON.stringify(said) : `${output}: version ${version}, until ${said.expires}`)
      }
      finish(0)
    })

  program
    .command('verify')
    .summary('check the signature of a document')
    .description('Checks that a document is signed by a trusted key and has not expired.')
    .argument('<source>', 'a file with a signed document, a URL, or - for stdin')
    .requiredOption('--keys <file>', 'the trusted keys, as keygen writes them')
    .action(async (source: string, _: unknown, command) => {
      const options = command.optsWithGlobals() as VerifyOptions
      const { keys, json } = options
      const trusted = await readTrustedKeys(keys)
      const verified = await verify(await readInput(source, options), trusted)
      const { kid, version, expires } = verified
      if (json) terminal.print(JSON.stringify(verified))
      else terminal.print(`signed by ${kid ?? 'a key without a kid'}: version ${version}, until ${expires}`)
      finish(0)
    })
}

/** Signs, with messages that name what was given. */
async function signWith(text: string, key: PrivateKey, key_path: string): Promise<string> {
  const { signDocument } = await import('../tools/sign-document.ts')
  try {
    return await signDocument(text, key)
  } catch (cause) {
    throw new Failure(`${key_path}: ${messageOf(cause)}`, 2, cause)
  }
}

async function verify(
  { name, bytes }: Input,
  trusted: TrustedKeys,
): Promise<object & { kid: string | null; version: unknown; expires: string }> {
  const { createVerifier } = await import('../background/trust/verifier.ts')
  const { readDocument } = await import('../background/reading/validator.ts')
  const { checkSignable } = await import('../tools/sign-document.ts')
  try {
    const { text_bytes, kid } = await createVerifier(trusted).verify(bytes)
    const document = readDocument(Buffer.from(text_bytes).toString())
    checkSignable(document)
    return { kid: kid ?? null, version: document.version, expires: new Date(document.expires as number).toISOString() }
  } catch (cause) {
    throw new Failure(`${name}: ${messageOf(cause)}`, 1, cause)
  }
}

/** The text with fields of `general` set; as it is when there are none to set. */
async function setGeneral(text: string, name: string, fields: object): Promise<string> {
  if (Object.keys(fields).length === 0) return text
  await checkDocument(text, name)
  const document = JSON.parse(text)
  return JSON.stringify({ ...document, general: { ...document.general, ...fields } })
}

async function checkFresh(text: string, name: string): Promise<Document> {
  const { checkSignable } = await import('../tools/sign-document.ts')
  const document = await checkDocument(text, name)
  try {
    checkSignable(document)
    return document
  } catch (cause) {
    throw new Failure(`${name}: ${messageOf(cause)} (see --document-version and --expires)`, 1, cause)
  }
}

async function checkDocument(text: string, name: string): Promise<Document> {
  const { readDocument } = await import('../background/reading/validator.ts')
  try {
    return readDocument(text)
  } catch (cause) {
    throw new Failure(`${name}: ${messageOf(cause)}`, 2, cause)
  }
}

function readVersion(given: string): number {
  if (given === 'now') return Date.now()
  if (/^\d+$/.test(given) && Number.isSafeInteger(Number(given))) return Number(given)
  throw new Failure(`--document-version: expected a whole number or now, got ${given}`)
}

function readExpiry(given: string): string {
  const days = /^(\d{1,5})d$/.exec(given)?.[1]
  const time = days === undefined ? Date.parse(given) : Date.now() + Number(days) * 24 * 3600 * 1000
  if (Number.isNaN(time)) throw new Failure(`--expires: expected a time in ISO 8601 or days such as 30d, got ${given}`)
  return new Date(time).toISOString()
}
