import { useState } from 'preact/hooks'
import type { Comment } from '../../shared/changes.ts'
import { AreaField, Form, useAction } from '../form.tsx'
import { Failed, useLoad } from '../load.tsx'
import { Ago } from '../parts/time.tsx'
import { useMay, useStudio, useStudioEvent } from '../studio.tsx'

/** What was said of a change set. */
export function Comments({ set }: { set: number }) {
  const { api } = useStudio()
  const may_write = useMay('author')
  const comments = useLoad<readonly Comment[]>(`/sets/${set}/comments`)
  useStudioEvent('change', comments.reload, 200)
  const [text, setText] = useState('')
  const { busy, problem, run } = useAction()
  if (!may_write && (comments.value?.length ?? 0) === 0) return null
  return (
    <section class="card comments" aria-label="Comments">
      <h2>Comments</h2>
      {comments.problem && <Failed problem={comments.problem} again={comments.reload} />}
      <ol>
        {comments.value?.map(({ id, by, at, text: said }) => (
          <li key={id}>
            <b>{by}</b> <Ago at={at} />
            <p>{said}</p>
          </li>
        ))}
      </ol>
      {may_write && (
        <Form
          submit={async () => {
            const done = await run(() => api.send('POST', `/sets/${set}/comments`, { text }))
            if (!done) return
            setText('')
            comments.reload()
          }}
        >
          <AreaField label="Comment" value={text} change={setText} problem={problem?.fields.text} />
          {problem && problem.fields.text === undefined && <Failed problem={problem} />}
          <footer>
            <button type="submit" disabled={busy || text.trim() === ''}>
              Comment
            </button>
          </footer>
        </Form>
      )}
    </section>
  )
}
