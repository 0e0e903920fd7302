import { useState } from 'preact/hooks'
import type { ChangeSet } from '../../shared/changes.ts'
import { query } from '../api.ts'
import { countChanges, describeState } from '../changes/words.ts'
import { Dialog } from '../dialog.tsx'
import { Form, TextField, useAction } from '../form.tsx'
import { Empty, Failed, Loading, type Pages, usePages } from '../load.tsx'
import { GitNotice } from '../parts/git-state.tsx'
import { More } from '../parts/more.tsx'
import { useTitle } from '../parts/page.ts'
import { Ago } from '../parts/time.tsx'
import { Link, usePlace } from '../router.tsx'
import { useMay, useStudio, useStudioEvent } from '../studio.tsx'

const PAGE = 50

/** Every change set: those that are open, and what became of the others. */
export function ChangesPage() {
  const may_write = useMay('author')
  const [adding, setAdding] = useState(false)
  const path = (state: string) => (_: unknown, limit: number, from: number) =>
    `/sets${query({ state, limit, from: from || undefined })}`
  const open = usePages<ChangeSet>(path('open'), PAGE)
  const closed = usePages<ChangeSet>(path('closed'), 20)
  useTitle('Changes')
  const reload = () => {
    open.reload()
    closed.reload()
  }
  useStudioEvent('change', reload, 300)
  useStudioEvent('version', reload, 300)
  return (
    <>
      <div class="head">
        <h1>Changes</h1>
        {may_write && (
          <button type="button" onClick={() => setAdding(true)}>
            New change set
          </button>
        )}
      </div>
      <GitNotice />
      {open.problem && <Failed problem={open.problem} again={open.reload} />}
      {open.items === undefined && open.loading && <Loading />}
      {open.items?.length === 0 ? (
        <Empty>
          <p>
            <strong>No change set is open.</strong>
          </p>
          <p>
            <Link href="/">Change a plugin</Link>: your first change starts a change set.
          </p>
        </Empty>
      ) : (
        <SetList sets={open} label="Open change sets" />
      )}
      {closed.items !== undefined && closed.items.length > 0 && (
        <section>
          <h2>Published and discarded</h2>
          <SetList sets={closed} label="Closed change sets" />
        </section>
      )}
      {adding && <NewSet close={() => setAdding(false)} />}
    </>
  )
}

function SetList({ sets, label }: { sets: Pages<ChangeSet>; label: string }) {
  return (
    <>
      <ul class="plugins sets" aria-label={label}>
        {sets.items?.map((set) => {
          const { text, kind } = describeState(set)
          return (
            <li key={set.id}>
              <Link href={`/changes/${set.id}`}>
                <span class="name">{set.name}</span>
                <span class="of">{set.created_by}</span>
                <span class="badges">
                  <span class={`badge ${kind}`}>{text}</span>
                </span>
                <small>
                  {countChanges(set.edits)}
                  {set.comments > 0 && ` · ${set.comments === 1 ? '1 comment' : `${set.comments} comments`}`}
                </small>
                <Ago at={set.updated_at} />
              </Link>
            </li>
          )
        })}
      </ul>
      <More of={sets} what="change sets" by_sight={false} />
    </>
  )
}

function NewSet({ close }: { close(): void }) {
  const { api, workIn } = useStudio()
  const { go } = usePlace()
  const [name, setName] = useState('')
  const { busy, problem, run } = useAction()
  return (
    <Dialog title="New change set" close={close}>
      <Form
        submit={async () => {
          const done = await run(async () => {
            const { set } = await api.send<{ set: number }>('POST', '/sets', { name })
            workIn(set)
            go('/')
          })
          if (done) close()
        }}
      >
        <TextField
          label="Name"
          hint="What it is for. Everyone sees it."
          value={name}
          change={setName}
          problem={problem?.fields.name}
          maxLength={100}
          required
          autofocus
        />
        {problem && problem.fields.name === undefined && <Failed problem={problem} />}
        <footer>
          <button type="button" onClick={close}>
            Cancel
          </button>
          <button type="submit" class="primary" disabled={busy}>
            Start
          </button>
        </footer>
      </Form>
    </Dialog>
  )
}
