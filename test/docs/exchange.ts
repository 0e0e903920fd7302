import { request } from 'node:http'

/** A request as a snippet shows it, and what it says the answer is. */
export interface Exchange {
  readonly method: string
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string
  readonly expected: readonly string[]
}

export interface Answer {
  readonly status: number
  /** As `curl -i` prints it: status line, headers, empty line, body. */
  readonly lines: readonly string[]
  readonly header: (name: string) => string | undefined
  readonly body: string
}

/** Sends a request to a port of this machine. */
export function send(port: number, { method, path, headers, body }: Omit<Exchange, 'expected'>): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ port, method, path, headers, agent: false }, (response) => {
      const chunks: Buffer[] = []
      response.on('error', reject)
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('end', () => {
        const { statusCode = 0, statusMessage, rawHeaders } = response
        const text = Buffer.concat(chunks).toString()
        const headerLines = rawHeaders.flatMap((name, index) =>
          index % 2 === 0 ? [`${name}: ${rawHeaders[index + 1]}`] : [],
        )
        resolve({
          status: statusCode,
          lines: [`HTTP/1.1 ${statusCode} ${statusMessage}`, ...headerLines, '', ...text.trimEnd().split('\n')],
          header: (name) => {
            const value = response.headers[name.toLowerCase()]
            return Array.isArray(value) ? value.join(', ') : value
          },
          body: text,
        })
      })
    })
    outgoing.on('error', reject)
    outgoing.end(body)
  })
}

/** Reads `$ curl …` commands and the output below each. */
export function readConsole(text: string): (Exchange & { readonly verbose: boolean })[] {
  return text
    .split(/^\$ /m)
    .slice(1)
    .map((part) => {
      const [command = '', ...output] = part.trimEnd().split('\n')
      return { ...readCurl(command), expected: output }
    })
}

function readCurl(command: string): Omit<Exchange, 'expected'> & { verbose: boolean } {
  const words = [...command.matchAll(/'([^']*)'|"([^"]*)"|(\S+)/g)].map(([, a, b, c]) => a ?? b ?? c ?? '')
  const headers: Record<string, string> = {}
  let method = 'GET'
  let verbose = false
  let asIs = false
  let address = ''
  for (let index = 1; index < words.length; index += 1) {
    const word = words[index] as string
    const value = () => {
      index += 1
      return words[index] ?? ''
    }
    if (word === '-i') verbose = true
    else if (word === '--path-as-is') asIs = true
    else if (word === '-X') method = value()
    else if (word === '-b') headers.cookie = value()
    else if (word === '-A') headers['user-agent'] = value()
    else if (word === '-H') Object.assign(headers, Object.fromEntries([splitHeader(value())]))
    else if (word.startsWith('-')) throw new Error(`the test does not know this option of curl: ${word}`)
    else address = word
  }
  if (words[0] !== 'curl' || !URL.canParse(address)) throw new Error(`expected curl and an address, got ${command}`)
  const url = new URL(address)
  const path = asIs ? address.slice(url.origin.length) : url.pathname + url.search
  return { method, path, headers: { host: url.host, ...headers }, verbose }
}

/** Whether the output is as shown; a line `…` stands for any number of lines, and within a line for any text. */
export function isShown(actual: readonly string[], shown: readonly string[]): boolean {
  const [first, ...rest] = shown
  if (first === undefined) return actual.length === 0
  if (first !== '…') return isLineShown(actual[0], first) && isShown(actual.slice(1), rest)
  return actual.some((_, index) => isShown(actual.slice(index), rest)) || rest.length === 0
}

function isLineShown(actual: string | undefined, shown: string): boolean {
  if (actual === shown) return true
  const parts = shown.split('…').map((part) => part.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&'))
  return parts.length > 1 && new RegExp(`^${parts.join('.+')}$`).test(actual ?? '')
}

/** What the comments of a plugin's snippet say: fields of the plugin, then requests and their answers. */
export interface Recipe {
  readonly fields: Readonly<Record<string, unknown>>
  readonly exchanges: readonly Exchange[]
}

/**
 * Reads a plugin's snippet. Comments at its top are fields of the plugin (`// params: {"a": 1}`); comments that begin with
 * `>` are requests, with `<` their answers: a status, then headers, then the body.
 */
export function readRecipe(code: string): Recipe {
  const fields: Record<string, unknown> = {}
  const exchanges: { method: string; path: string; headers: Record<string, string>; expected: string[] }[] = []
  for (const line of code.split('\n')) {
    const [, name, value] = /^\/\/ (\w+): (["[{\d].*)$/.exec(line) ?? []
    const [, method, path] = /^\/\/ > ([A-Z]+) (\/\S*)$/.exec(line) ?? []
    const last = exchanges.at(-1)
    if (name !== undefined) fields[name] = JSON.parse(value as string)
    else if (method !== undefined) exchanges.push({ method, path: path as string, headers: {}, expected: [] })
    else if (line.startsWith('// > '))
      Object.assign(last?.headers ?? {}, Object.fromEntries([splitHeader(line.slice(5))]))
    else if (line.startsWith('// < ')) last?.expected.push(line.slice(5))
  }
  return { fields, exchanges }
}

/** What of an answer is not as the recipe says; empty when all is. */
export function differences(answer: Answer, [status, ...lines]: readonly string[]): string[] {
  const wrong: string[] = []
  if (String(answer.status) !== status) wrong.push(`status ${answer.status}, expected ${status}`)
  const headers = lines.filter((line) => /^[A-Z][\w-]*: /.test(line))
  for (const line of headers) {
    const [name, value] = splitHeader(line)
    const came = answer.header(name)
    if (value === '(none)' ? came !== undefined : came !== value) wrong.push(`${name}: ${came}, expected ${value}`)
  }
  const body = lines.filter((line) => !headers.includes(line)).join('\n')
  if (body !== '' && answer.body.trimEnd() !== body) wrong.push(`body ${answer.body}, expected ${body}`)
  return wrong
}

function splitHeader(line: string): [string, string] {
  const at = line.indexOf(':')
  return [line.slice(0, at), line.slice(at + 1).trim()]
}
