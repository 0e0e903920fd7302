import { openAsBlob } from 'node:fs'
import { PGlite } from '@electric-sql/pglite'
import { inject, vi } from 'vitest'
import type { Engine } from '../server/store/database.ts'

/** Databases inside this process that nobody uses, and that are empty. */
const idle: PGlite[] = []

/**
 * Opens an empty database inside this process. One that is closed is emptied and kept for the next: a new one takes seconds.
 * Where tables or triggers have been changed, it is not kept; nor where it was asked under a clock of the test's own: it would
 * wait for that time, and look at its timer again and again.
 */
export async function openWarmEngine(): Promise<Engine> {
  const engine = idle.pop() ?? (await create())
  let is_open = true
  let had_own_clock = false
  const unlisten: (() => Promise<void>)[] = []
  /** What a studio does after it has closed is not to reach who is next. */
  const whileOpen =
    <A extends unknown[], T>(call: (...given: A) => Promise<T>) =>
    async (...given: A) => {
      if (!is_open) throw new Error('the database is closed')
      had_own_clock ||= vi.isFakeTimers()
      return call(...given)
    }
  return {
    query: whileOpen(engine.query.bind(engine)) as Engine['query'],
    listen: whileOpen(async (channel, heard) => {
      const end = await engine.listen(channel, (payload) => is_open && heard(payload))
      unlisten.push(end)
      return end
    }),
    async close() {
      if (!is_open) return
      is_open = false
      // Of a transaction that was under way, nothing more is to come.
      await engine.exec('rollback')
      for (const end of unlisten) await end()
      const is_whole = (await shapeOf(engine)) === shapes.get(engine)
      if (!is_whole || had_own_clock) return engine.close()
      await engine.exec(EMPTY)
      idle.push(engine)
    },
  }
}

/** What the tables and triggers of each were in the beginning. */
const shapes = new WeakMap<PGlite, string>()

async function create(): Promise<PGlite> {
  const engine = await PGlite.create('memory://', { loadDataDir: await openAsBlob(inject('empty_archive')) })
  await engine.exec(REMEMBER)
  shapes.set(engine, await shapeOf(engine))
  return engine
}

async function shapeOf(engine: PGlite): Promise<string> {
  const { rows } = await engine.query(`
    select 'attribute' as kind, count(*), max(xmin::text::bigint) from pg_attribute
    union all select 'constraint', count(*), max(xmin::text::bigint) from pg_constraint
    union all select 'trigger', count(*), max(xmin::text::bigint) from pg_trigger
    union all select 'function', count(*), max(xmin::text::bigint) from pg_proc`)
  return JSON.stringify(rows)
}

/** What an empty database has in it: rows that migrations wrote, and where the numbers begin. */
const REMEMBER = `
  create schema empty;
  do $$
  declare name text;
  begin
    for name in select tablename from pg_tables where schemaname = 'public' loop
      execute format('create table empty.%I as table public.%I', name, name);
    end loop;
  end $$;
  create table empty.numbers as
    select sequencename, start_value, last_value from pg_sequences where schemaname = 'public';`

/** Without triggers: some tables take nothing back. */
const EMPTY = `
  set session_replication_role = replica;
  do $$
  declare name text;
  begin
    for name in select tablename from pg_tables where schemaname = 'public' loop
      execute format('delete from public.%I', name);
      execute format('insert into public.%I select * from empty.%I', name, name);
    end loop;
  end $$;
  select setval(format('public.%I', sequencename), coalesce(last_value, start_value), last_value is not null)
    from empty.numbers;
  reset session_replication_role;`
