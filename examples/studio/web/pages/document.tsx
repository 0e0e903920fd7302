import { ExportCard } from '../document/export.tsx'
import { GeneralCard } from '../document/general.tsx'
import { ImportCard } from '../document/import.tsx'
import { GitCard } from '../parts/git-state.tsx'
import { useTitle } from '../parts/page.ts'
import { useMay } from '../studio.tsx'

/** The document as a whole: what holds for all of it, and how it comes in and goes out. */
export function DocumentPage() {
  const may_write = useMay('author')
  useTitle('Document')
  return (
    <>
      <div class="head">
        <h1>Document</h1>
      </div>
      <GitCard />
      <GeneralCard />
      {may_write && <ImportCard />}
      <ExportCard />
    </>
  )
}
