import { createHmac, type KeyObject, timingSafeEqual } from 'node:crypto'
import { textEntry } from '../audit/chain.ts'
import type { EntryType, TextEntry } from '../audit/entry.ts'
import type { RequestRecord } from './records.ts'

/** Records that became durable together. `seq` goes on by one from batch to batch, for ever. */
export interface Batch {
  readonly seq: number
  readonly text: string
}

/** What a batch holds of one record: the entry's data is the text that will be hashed. */
export interface Written extends Pick<RequestRecord, 'count'> {
  readonly entry: TextEntry
}

export interface BatchRecords {
  /** Milliseconds since the epoch. */
  readonly at: number
  readonly records: readonly Written[]
}

/**
 * The part of a batch that records are, a line each: what the entry is, as a list, and its data. Between
 * them a tab: JSON has neither that nor the end of a line in its strings. Throws for what JSON cannot hold.
 */
export function recordsText(records: readonly RequestRecord[]): string {
  return records.map(recordText).join('\n')
}

function recordText({ entry, count }: RequestRecord): string {
  const { type, lease, data } = textEntry(entry)
  const about: About = [type, lease]
  if (count) about.push([count.lease, count.grant, count.counted])
  return `${JSON.stringify(about)}\t${data}`
}

export function batchText(at: number, texts: readonly string[]): string {
  return `${at}\n${texts.join('\n')}`
}

type About = [EntryType, string | null, [string, string, string]?]

/** The other way round. Its text was ours: the code that protects it was right. */
export function readBatch(text: string): BatchRecords {
  const [at, ...lines] = text.split('\n')
  return { at: Number(at), records: lines.map(readRecord) }
}

function readRecord(line: string): Written {
  const tab = line.indexOf('\t')
  const [type, lease, counting] = JSON.parse(line.slice(0, tab)) as About
  const entry = { type, lease, data: line.slice(tab + 1) }
  if (!counting) return { entry }
  const [of, grant, counted] = counting
  return { entry, count: { lease: of, grant, counted } as NonNullable<RequestRecord['count']> }
}

/** A code over number and text (HMAC-SHA-256, RFC 2104), the number, the length of the text in bytes. */
const HEAD = /^([0-9a-f]{64}) ([1-9][0-9]{0,15}) ([1-9][0-9]{0,7})\n/
const LONGEST_HEAD = 92

function codeOf(key: KeyObject, { seq, text }: Batch): string {
  return createHmac('sha256', key).update(`broker-journal-v2 ${seq}\n${text}`).digest('hex')
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
