import type { PrivateKey } from 'dynacode/tools'
import type { Kysely } from 'kysely'
import type { VersionKind } from '../../shared/review.ts'
import type { Workspace } from '../changes/workspace.ts'
import type { DocumentParts } from '../review/document-parts.ts'
import type { Reviewer } from '../review/reviewer.ts'
import type { Tables } from '../store/tables.ts'
import type { Documents, Live } from './documents.ts'

type Db = Kysely<Tables>

/** How documents are made public. */
export interface PublishingRules {
  /** By which versions are signed. */
  readonly key: PrivateKey | undefined
  /** Whether what one person has drafted is published by another alone. Switching off and rolling back is for everybody. */
  readonly two_persons: boolean
  /** As in TwoPersonRules; a day, if left out. */
  readonly wait_ms?: number
}

/** What publishing works with. */
export interface Press {
  readonly db: Db
  readonly rules: PublishingRules
  readonly documents: Documents
  readonly workspace: Workspace
  readonly reviewer: Reviewer
  readonly ledger?: Ledger | undefined
}

/** Where versions are written down besides: a folder in git, say. */
export interface Ledger {
  /**
   * Does what takes long, before anything is locked.
   *
   * @throws Problem when it cannot be written down now
   */
  prepare(kind: VersionKind, document: DocumentParts, live: Live): Promise<LedgerEntry>
  /** Remembers that a version is what is written down there already, or since just now. */
  note(transaction: Db, written: string, version: number): Promise<void>
}

/** What will be written down. */
export interface LedgerEntry {
  /** @returns by what it is found there; undefined: it is to be made up for later */
  write(author: string, message: string): Promise<string | undefined>
}
