import { readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'

export const ROOT = join(import.meta.dirname, '..', '..')

/** A fenced block of a page. */
export interface Block {
  /** First word after the fence, such as `js`. */
  readonly lang: string
  /** The words after it: `plugin=access` by its name, a word without `=` with an empty value. */
  readonly marks: ReadonlyMap<string, string>
  readonly text: string
  /** Line of the opening fence, from 1. */
  readonly line: number
  /** `docs/plugins.md:12`, for the titles of tests. */
  readonly place: string
}

/** A table of a page: its header cells and the cells of each row, as Markdown. */
export interface Table {
  readonly header: readonly string[]
  readonly rows: readonly (readonly string[])[]
}

export interface Page {
  /** Path from the repository's root, such as `docs/options.md`. */
  readonly file: string
  readonly blocks: readonly Block[]
  readonly tables: readonly Table[]
  readonly headings: readonly string[]
  readonly links: readonly string[]
  /** The page without its fenced blocks. */
  readonly prose: string
}

/** Reads the README and every page of docs. */
export function readPages(): Page[] {
  const docs = join(ROOT, 'docs')
  const names = readdirSync(docs).filter((name) => name.endsWith('.md'))
  return [join(ROOT, 'README.md'), ...names.map((name) => join(docs, name))].map(readPage)
}

/** Reads the pages of Markdown that stand elsewhere: for contributors, and of the examples. */
export function readOtherPages(): Page[] {
  const names = ['ARCHITECTURE.md', 'CONTRIBUTING.md', 'SECURITY.md', 'examples/studio/README.md']
  return names.map((name) => readPage(join(ROOT, name)))
}

/** Reads one page of docs by its name, such as `options`. */
export function readDocsPage(name: string): Page {
  return readPage(join(ROOT, 'docs', `${name}.md`))
}

function readPage(path: string): Page {
  const file = relative(ROOT, path).replaceAll('\\', '/')
  const blocks: Block[] = []
  const prose: string[] = []
  let open: { info: string; line: number; text: string[] } | undefined
  for (const [index, line] of readFileSync(path, 'utf8').split('\n').entries()) {
    const fence = /^```(.*)$/.exec(line)
    if (fence === null) {
      if (open === undefined) prose.push(line)
      else open.text.push(line)
    } else if (open === undefined) {
      open = { info: fence[1] ?? '', line: index + 1, text: [] }
    } else {
      const [lang = '', ...marks] = open.info.trim().split(/\s+/)
      const { line } = open
      blocks.push({
        lang,
        marks: new Map(marks.map(readMark)),
        text: open.text.join('\n'),
        line,
        place: `${file}:${line}`,
      })
      open = undefined
    }
  }
  if (open !== undefined) throw new Error(`${file}:${open.line}: the block is not closed`)
  return {
    file,
    blocks,
    tables: readTables(prose),
    headings: prose.flatMap((line) => /^#{1,6} (.+)$/.exec(line)?.[1] ?? []),
    links: [...prose.join('\n').matchAll(/\[[^\]]*\]\(([^)\s]+)\)/g)].map((match) => match[1] as string),
    prose: prose.join('\n'),
  }
}

function readMark(word: string): [string, string] {
  const [name = '', value = ''] = word.split('=')
  return [name, value]
}

function readTables(lines: readonly string[]): Table[] {
  const tables: { header: string[]; rows: string[][] }[] = []
  let inside = false
  for (const line of lines) {
    if (!line.startsWith('|')) {
      inside = false
      continue
    }
    // A pipe that belongs to a cell is written `\|`.
    const cells = line
      .split(/(?<!\\)\|/)
      .slice(1, -1)
      .map((cell) => cell.trim().replaceAll('\\|', '|'))
    if (!inside) tables.push({ header: cells, rows: [] })
    else if (!cells.every((cell) => /^:?-+:?$/.test(cell))) tables.at(-1)?.rows.push(cells)
    inside = true
  }
  return tables
}

/** The tables with this text as their first header cell; there must be one. */
export function tablesOf({ file, tables }: Page, first: string): Table[] {
  const found = tables.filter(({ header }) => header[0] === first)
  if (found.length === 0) throw new Error(`${file}: expected a table whose first column is ${first}`)
  return found
}

/** What stands between backticks in a cell, one item each. */
export function codeIn(cell: string): string[] {
  return [...cell.matchAll(/`([^`]+)`/g)].map((match) => match[1] as string)
}

/** The code in the first cells of these tables' rows, row by row. */
export function namesIn(tables: readonly Table[]): string[] {
  return tables.flatMap(({ rows }) => rows.flatMap(([cell = '']) => codeIn(cell)))
}

/** A row's cell by the text of its column's header. */
export function cellOf({ header }: Table, row: readonly string[], column: string): string {
  const index = header.indexOf(column)
  if (index === -1) throw new Error(`expected a column ${column}, got ${header.join(', ')}`)
  return row[index] ?? ''
}

/** The anchor that GitHub gives a heading. */
export function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\p{M}_\- ]/gu, '')
    .replaceAll(' ', '-')
}
