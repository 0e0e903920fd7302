import { useStudio } from '../studio.tsx'

/** Changes something in the change set that is worked in; where there is none, that starts one. */
export function useEdits() {
  const { api, set, workIn, say } = useStudio()
  return async function edit(
    method: 'POST' | 'PUT' | 'DELETE',
    what: 'domains' | 'domains/move' | 'plugins' | 'plugins/move' | 'general',
    body: object,
  ): Promise<number> {
    const { set: changed } = await api.send<{ set: number }>(method, `/sets/${set ?? 'new'}/${what}`, body)
    if (changed !== set) {
      workIn(changed)
      say('A change set was started. It goes live when you publish it.')
    }
    return changed
  }
}
