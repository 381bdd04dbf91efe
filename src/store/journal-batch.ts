import { createHmac, type KeyObject, timingSafeEqual } from 'node:crypto'
import type { EntryType } from '../audit/entry.ts'
import { canonicalJson, type JsonObject } from '../lib/json.ts'
import type { RequestRecord } from './records.ts'

/** Records that became durable together. `seq` goes on by one from batch to batch, for ever. */
export interface Batch {
  readonly seq: number
  readonly text: string
}

export interface BatchRecords {
  /** Milliseconds since the epoch. */
  readonly at: number
  readonly records: readonly Omit<RequestRecord, 'whileActive'>[]
}

/** One record's part of a batch. Throws for what JSON cannot hold. */
export function recordText({ entry, count }: RequestRecord): string {
  const { type, lease, data } = entry
  const parts = [JSON.stringify(type), JSON.stringify(lease), canonicalJson(data)]
  if (count) parts.push(JSON.stringify([count.lease, count.grant, count.counted]))
  return `[${parts.join(',')}]`
}

export function batchText(at: number, records: readonly string[]): string {
  return `[${at},${records.join(',')}]`
}

type Written = [EntryType, string | null, JsonObject, [string, string, string]?]

/** The other way round. Its text was ours: the code that protects it was right. */
export function readBatch(text: string): BatchRecords {
  const [at, ...written] = JSON.parse(text) as [number, ...Written[]]
  const records = written.map(([type, lease, data, counting]) => {
    const entry = { type, lease, data }
    if (!counting) return { entry }
    const [of, grant, counted] = counting
    return { entry, count: { lease: of, grant, counted } as NonNullable<RequestRecord['count']> }
  })
  return { at, records }
}

/** A code over number and text (HMAC-SHA-256, RFC 2104), the number, the length of the text in bytes. */
const HEAD = /^([0-9a-f]{64}) ([1-9][0-9]{0,15}) ([1-9][0-9]{0,7})\n/
const LONGEST_HEAD = 92

function codeOf(key: KeyObject, { seq, text }: Batch): string {
  return createHmac('sha256', key).update(`broker-journal-v1 ${seq}\n${text}`).digest('hex')
}

export function frame(key: KeyObject, batch: Batch): Buffer {
  const bytes = Buffer.byteLength(batch.text)
  return Buffer.from(`${codeOf(key, batch)} ${batch.seq} ${bytes}\n${batch.text}\n`)
}

/** The batch that begins there; undefined for anything but one that was framed with this key, whole. */
export function unframe(
  key: KeyObject,
  bytes: Buffer,
  from: number,
): { readonly batch: Batch; readonly end: number } | undefined {
  const head = HEAD.exec(bytes.toString('latin1', from, from + LONGEST_HEAD))
  if (!head) return undefined
  const [line, code = '', seq, length] = head
  const begin = from + line.length
  const end = begin + Number(length)
  const batch = { seq: Number(seq), text: bytes.toString('utf8', begin, end) }
  const expected = Buffer.from(codeOf(key, batch))
  return timingSafeEqual(Buffer.from(code), expected) ? { batch, end: end + 1 } : undefined
}
