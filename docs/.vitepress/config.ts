import { copyFileSync, existsSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { defineConfig, type MarkdownOptions } from 'vitepress'
import {
  composeLlmsFullText,
  composeLlmsText,
  copyProjectPages,
  DOCS,
  isInRepository,
  placeInSite,
  readContents,
} from './contents.ts'

/** Made of the docblocks by `npm run docs:reference`. */
const hasReference = existsSync(join(DOCS, 'reference'))

copyProjectPages()

const sidebar = readContents().map(({ title, pages }) => ({
  text: title,
  items: [
    ...pages.map(({ title, file }) => ({ text: title, link: placeInSite(file).replace(/^(?!\/)(.*)\.md$/, '/$1') })),
    ...(title === 'Reference' && hasReference ? [{ text: 'Functions and types', link: '/reference/' }] : []),
  ],
}))

type MarkdownIt = Parameters<NonNullable<MarkdownOptions['config']>>[0]

/** Links to the repository have no address here: there is their text, and the path as its title. */
function showRepositoryPaths(markdown: MarkdownIt): void {
  markdown.core.ruler.push('repository-paths', ({ tokens, env }) => {
    for (const { children } of tokens) {
      let path: string | undefined
      for (const token of children ?? []) {
        if (token.type === 'link_open') {
          const href = placeInSite(token.attrGet('href') ?? '')
          token.attrSet('href', href)
          path = isInRepository(env.relativePath, href) ? href.replace(/^(\.\.\/)+/, '') : undefined
          if (path !== undefined) token.attrs = [['title', `In the repository: ${path}`]]
        }
        if (path !== undefined && token.type.startsWith('link_')) token.tag = 'span'
        if (token.type === 'link_close') path = undefined
      }
    }
  })
}

export default defineConfig({
  title: 'dynacode',
  description: 'Koa middleware that runs operator-supplied JavaScript plugins in a live app.',
  lang: 'en',
  // No icon of our own: browsers need not ask for one.
  head: [['link', { rel: 'icon', href: 'data:,' }]],
  rewrites: { 'README.md': 'index.md' },
  lastUpdated: false,
  themeConfig: {
    sidebar,
    nav: [
      { text: 'Getting started', link: '/getting-started' },
      { text: 'Cookbook', link: '/cookbook' },
      { text: 'Reference', link: '/options' },
    ],
    search: {
      provider: 'local',
      options: {
        miniSearch: {
          // Pages before the reference that is made of the docblocks.
          searchOptions: { boostDocument: (id: string) => (id.startsWith('/reference/') ? 0.2 : 1) },
        },
      },
    },
    outline: [2, 3],
  },
  markdown: {
    // The anchors of GitHub: a link to a heading works in both places.
    anchor: {
      slugify: (heading) =>
        heading
          .toLowerCase()
          .replace(/[^\p{L}\p{N}\p{M}_\- ]/gu, '')
          .replaceAll(' ', '-'),
    },
    config: showRepositoryPaths,
  },
  buildEnd({ outDir }) {
    writeFileSync(join(outDir, 'llms.txt'), composeLlmsText())
    writeFileSync(join(outDir, 'llms-full.txt'), composeLlmsFullText())
    for (const { pages } of readContents()) {
      for (const { file } of pages) copyFileSync(join(DOCS, file), join(outDir, basename(file)))
    }
  },
})
