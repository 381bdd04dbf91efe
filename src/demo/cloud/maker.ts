import { createHash, randomUUID } from 'node:crypto'
import type { Row } from './world.ts'

/** Where new ids, tokens and times come from. */
export interface Maker {
  /** A random UUID, which is what ids and tokens look like at Railway. */
  uuid(): string
  now(): Date
  /** The fields of a new row. */
  row(): Row
}

/** With a `seed` the ids are the same each time, in the order in which they are asked for. */
export function newMaker(seed?: string, now: () => Date = () => new Date()): Maker {
  const uuid = seed === undefined ? randomUUID : seeded(seed)
  return {
    uuid,
    now,
    row() {
      const at = now().toISOString()
      return { id: uuid(), createdAt: at, updatedAt: at }
    },
  }
}

function seeded(seed: string): () => string {
  let count = 0
  return () => {
    const bytes = createHash('sha256').update(`${seed}:${count++}`).digest().subarray(0, 16)
    // Version 4, variant 1 (RFC 9562 §5.4).
    bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40
    bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80
    return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
  }
}
