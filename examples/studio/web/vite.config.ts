import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { defineConfig, type Plugin } from 'vite'
import { describePluginScope } from './plugin-scope.ts'

/** The studio that a page of the development server talks to. */
const STUDIO = process.env.STUDIO ?? 'http://127.0.0.1:4000'
/** Of script that every page loads, in bytes after gzip. */
const LARGEST_PAGE = 100 * 1024

export default defineConfig({
  root: import.meta.dirname,
  plugins: [pluginScope(), pageSize()],
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  build: {
    outDir: join(import.meta.dirname, '..', 'dist'),
    emptyOutDir: true,
    target: 'es2022',
    // As old as light-dark() allows.
    cssTarget: ['chrome123', 'firefox120', 'safari17.5'],
    // Inline scripts and data: addresses are what the pages' content security policy forbids.
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 700,
  },
  server: { proxy: { '/api/': STUDIO, '/plugins.json': STUDIO } },
})

/** What plugin code finds in its scope, from dynacode's own types; read when the pages are built. */
function pluginScope(): Plugin {
  const name = 'virtual:plugin-scope'
  return {
    name: 'plugin-scope',
    resolveId: (id) => (id === name ? `\0${name}` : undefined),
    load: (id) => (id === `\0${name}` ? `export default ${JSON.stringify(describePluginScope())}` : undefined),
  }
}

/** Keeps what a page loads before its editor small. */
function pageSize(): Plugin {
  return {
    name: 'page-size',
    apply: 'build',
    writeBundle(_, bundle) {
      const chunks = Object.values(bundle).filter((file) => file.type === 'chunk')
      const first = new Set<string>()
      const follow = (file: string) => {
        if (first.has(file)) return
        first.add(file)
        for (const next of chunks.find(({ fileName }) => fileName === file)?.imports ?? []) follow(next)
      }
      for (const { isEntry, fileName } of chunks) if (isEntry) follow(fileName)
      const size = (own: boolean) =>
        chunks
          .filter(({ fileName }) => first.has(fileName) === own)
          .reduce((sum, { code }) => sum + gzipSync(code, { level: 9 }).length, 0)
      const page = size(true)
      this.info(
        `script after gzip: ${(page / 1024).toFixed(1)} KiB for every page, ${(size(false) / 1024).toFixed(1)} KiB for the editor`,
      )
      if (page > LARGEST_PAGE) this.error(`a page loads ${page} bytes of script, expected at most ${LARGEST_PAGE}`)
    },
  }
}
