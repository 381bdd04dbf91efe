import type { NewEntry } from '../audit/entry.ts'
import type { Counted, Writer } from './store.ts'

/** An entry about a task's request, and what has to be true and is changed along with it. */
export interface RequestRecord {
  readonly entry: NewEntry
  /** Written only while this lease is active. */
  readonly whileActive?: string
  readonly count?: { readonly lease: string; readonly grant: string; readonly counted: Counted }
}

/** Writes them all, or, where a lease has ended, none; true when they are written. */
export async function writeRecords(
  writer: Writer,
  records: readonly RequestRecord[],
): Promise<boolean> {
  for (const { whileActive } of records) {
    if (whileActive !== undefined && (await writer.state(whileActive)) !== 'active') return false
  }
  for (const { entry, count } of records) {
    await writer.append(entry)
    if (count) await writer.countRequest(count.lease, count.grant, count.counted)
  }
  return true
}
