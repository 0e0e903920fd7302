import { CALL_WEIGHT } from '../../program.ts'
import type { GuardNames } from './guard-names.ts'

/** What is put before something, and what after it. */
export interface Around {
  readonly before: string
  readonly after: string
}

/** What `track` and `hold` get with a value: it is handed to somebody who may wait for it. */
export const GIVEN = 1
/** What `track` gets with a value whose `promise` is what counts. */
export const PAIR = 2
/** What `hold` gets with what a loop awaits one by one. */
export const EACH = 2
/** What `resume` is told beside the value: an asynchronous generator goes on, wherever it is asked to; a callback of a promise begins. */
export const ANYWHERE = 1
export const CALLED = 2

export type GuardTexts = ReturnType<typeof guardTexts>

/** The guard's calls as they are written into a code, under the names that they have there. */
export function guardTexts(names: GuardNames) {
  const { run, over } = names
  /** Around the value that one of them is called with. */
  const call = (name: string, more = ''): Around => ({ before: `${name}(${run},`, after: `${more})` })
  const told = (how: number | undefined) => (how === undefined ? '' : `,${how}`)
  const ended = `}finally{${names.end}(${run})}`

  return {
    /** A statement that stands for itself and so many calls that none is put around. */
    check(calls: number): string {
      const count = calls === 0 ? `--${run}.n` : `(${run}.n-=${1 + calls * CALL_WEIGHT})`
      return `if(${count}<0)${over}(${run});`
    },
    /** Around an expression that no statement can stand before. */
    checked: { before: `(--${run}.n<0&&${over}(${run}),`, after: ')' },
    /** Around the statements of a loop that awaits what it goes through. */
    turn: { before: `${names.resume}(${run});try{`, after: ended },
    /** Around the statements of a function that may go on when others have had the thread. */
    frame(isAsync: boolean): Around {
      const { room, fail, caught } = names
      if (!isAsync) return { before: 'try{', after: ended }
      // With the stack used up, Node loses sight of who handles what is awaited.
      return { before: `try{${room}();`, after: `}catch(${caught}){throw ${fail}(${run},${caught})${ended}` }
    },
    begun: (how: number) => `${names.resume}(${run},0,${how});`,
    awaited: (how?: number) => call(names.resume, told(how)),
    held: (how?: number) => call(names.hold, told(how)),
    given: call(names.give),
    tracked: (how?: number) => call(names.track, told(how)),
    trackedWithRoom: (how?: number) => ({
      before: `${names.track}(${run},(${names.room}(),`,
      after: `)${told(how)})`,
    }),
    listening: call(names.listen),
    unlistening: { before: `${names.listen}(null,`, after: ')' },
    evaluated: { before: `${names.evaluate}(`, after: ')' },
    compiling: call(names.compile),
    suspect: `;${names.suspect}();`,
  } as const
}
