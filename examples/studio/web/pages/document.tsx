import { GeneralCard } from '../document/general.tsx'
import { useTitle } from '../parts/page.ts'

/** The draft as a whole. */
export function DocumentPage() {
  useTitle('Document')
  return (
    <>
      <div class="head">
        <h1>The document</h1>
      </div>
      <GeneralCard />
    </>
  )
}
