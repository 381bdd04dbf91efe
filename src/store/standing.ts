import type { DatabaseSync, StatementSync } from 'node:sqlite'
import type { RequestRecord } from './records.ts'

/**
 * What a record has to find true before it is written: that its lease is active and its grant exists.
 * Looked up once and remembered until something else is written: nothing but a write changes it.
 */
export class Standing {
  readonly #state: StatementSync
  readonly #grant: StatementSync
  readonly #active = new Map<string, boolean>()
  readonly #grants = new Set<string>()

  constructor(database: DatabaseSync) {
    this.#state = database.prepare('select state from leases where id = ?')
    this.#grant = database.prepare('select 1 from grants where lease = ? and name = ?')
  }

  /** False where one of them is only for a lease that is active, and it is not. */
  holds(records: readonly RequestRecord[]): boolean {
    return records.every(({ whileActive }) => whileActive === undefined || this.#is(whileActive))
  }

  /** Throws where one counts for a grant that does not exist. */
  checkGrants(records: readonly RequestRecord[]): void {
    for (const { count } of records) {
      if (count && !this.#has(count.lease, count.grant)) {
        throw new Error(`no grant "${count.grant}" of lease ${count.lease}`)
      }
    }
  }

  /** Call it after every write that may have changed a lease. */
  forget(): void {
    this.#active.clear()
    this.#grants.clear()
  }

  #is(lease: string): boolean {
    let active = this.#active.get(lease)
    if (active === undefined) {
      active = (this.#state.get(lease) as { state: string } | undefined)?.state === 'active'
      this.#active.set(lease, active)
    }
    return active
  }

  #has(lease: string, grant: string): boolean {
    const key = `${lease} ${grant}`
    if (this.#grants.has(key)) return true
    if (!this.#grant.get(lease, grant)) return false
    this.#grants.add(key)
    return true
  }
}
