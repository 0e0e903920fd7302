import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'

export const DOCS = join(import.meta.dirname, '..')

/** A part of the table of contents: a group of readers, and the pages for it. */
export interface Section {
  readonly title: string
  readonly pages: readonly { readonly title: string; readonly file: string; readonly about: string }[]
}

/** The table of contents, as docs/README.md has it. The sidebar and llms.txt are made of it, so no page is listed twice. */
export function readContents(): Section[] {
  const [, ...parts] = readFileSync(join(DOCS, 'README.md'), 'utf8').split(/^## /m)
  return parts.map((part) => {
    const [title = '', ...lines] = part.split('\n')
    const pages = lines.flatMap((line) => {
      const [, name, file, about] = /^- \[([^\]]+)\]\(([^)]+)\): (.+)$/.exec(line) ?? []
      return name && file && about ? [{ title: name, file, about }] : []
    })
    return { title, pages }
  })
}

/** The index for language models: https://llmstxt.org. */
export function composeLlmsText(): string {
  const sections = readContents().map(({ title, pages }) => {
    const lines = pages.map((page) => `- [${page.title}](${basename(page.file)}): ${page.about}`)
    return `## ${title}\n\n${lines.join('\n')}\n`
  })
  return `# dynacode

> Koa middleware that runs operator-supplied JavaScript plugins in a live app. An API of yours serves the plugins as a JSON
> document; dynacode polls it and swaps changes in without a restart. Plugin code is trusted: dynacode is not a sandbox.

${sections.join('\n')}`
}

/** The pages in full, one after the other, in the order of the contents. */
export function composeLlmsFullText(): string {
  const files = readContents().flatMap(({ pages }) => pages.map(({ file }) => file))
  return files.map((file) => readFileSync(join(DOCS, file), 'utf8')).join('\n\n---\n\n')
}

/** Pages at the top of the repository, by their names in the site. */
const PROJECT = ['contributing', 'architecture', 'security']

/** Copies these pages to where the site can have them, with links that fit there. */
export function copyProjectPages(): void {
  mkdirSync(join(DOCS, 'project'), { recursive: true })
  for (const name of PROJECT) {
    const text = readFileSync(join(DOCS, '..', `${name.toUpperCase()}.md`), 'utf8')
    const fitted = text.replace(/\]\((?:docs\/([^)]+)|([A-Z]+\.md))/g, (_whole, page?: string, other = '') =>
      page === undefined ? `](${other === 'README.md' ? '../README.md' : other.toLowerCase()}` : `](../${page}`,
    )
    writeFileSync(join(DOCS, 'project', `${name}.md`), fitted)
  }
}

/** Where the site has what a page links to: the same, except for README files and pages at the top of the repository. */
export function placeInSite(href: string): string {
  if (/^(?:\.\.\/)*README\.md$/.test(href)) return '/'
  const [, name = ''] = /^(?:\.\.\/)+([A-Z]+)\.md$/.exec(href) ?? []
  return PROJECT.includes(name.toLowerCase()) ? `/project/${name.toLowerCase()}` : href
}

/** Whether a link of a page leads to a file of the repository that is no page of the site, such as a test. */
export function isInRepository(page: string, href: string): boolean {
  return href.startsWith('../') && existsSync(join(DOCS, page, '..', href.replace(/#.*/, '')))
}
