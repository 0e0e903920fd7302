import type { TestModule } from 'vitest/node'
import type { Reporter } from 'vitest/reporters'

declare module 'vitest' {
  interface TaskMeta {
    /** How many attacks a test makes; left out, one. */
    attacks?: number
  }
}

/** Counts the attacks of a run by who makes them and of what kind they are: titles are “G55 author | reads | …”. */
export default class CountAttacks implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const counts = new Map<string, { held: number; failed: number }>()
    for (const module of modules) {
      for (const test of module.children.allTests()) {
        const [, role, kind] = /^G\d+ (\w[\w ]*) \| ([\w ]+) \|/.exec(test.name) ?? []
        if (role === undefined) continue
        const key = `${role} | ${kind}`
        const count = counts.get(key) ?? { held: 0, failed: 0 }
        const attacks = test.meta().attacks ?? 1
        if (test.ok()) count.held += attacks
        else count.failed += attacks
        counts.set(key, count)
      }
    }
    const lines = [...counts].sort().map(([key, { held, failed }]) => `| ${key} | ${held} | ${failed} |`)
    const sum = (of: 'held' | 'failed') => [...counts.values()].reduce((total, count) => total + count[of], 0)
    console.log(['| who | kind | held | not held |', '|---|---|---|---|', ...lines].join('\n'))
    console.log(`${sum('held') + sum('failed')} attacks, ${sum('failed')} not held`)
  }
}
