import type { AuditEntryView, AuditVerdict, LeaseView } from '../api/types.ts'
import { isObject, type Json, type JsonObject } from '../lib/json.ts'
import { leaseRows } from './lease-text.ts'
import { clock } from './moments.ts'
import { type Look, paint, visible } from './terminal.ts'

export const NO_ENTRIES: readonly string[] = ['no audit entries']

/**
 * `seq  time  type  lease  key=value …`, a line an entry. On a terminal without what is null and cut at the
 * edge; but why something was refused stands whole below it: to find that out is what people come for.
 */
export function entryRows(entries: readonly AuditEntryView[], look: Look, now: number): string[] {
  return entries.flatMap((entry) => {
    if (look.terminal) return terminalRows(entry, look, now)
    const fields = [String(entry.seq), entry.at, entry.type, entry.lease ?? '-', flat(entry.data)]
    return [fields.map(visible).join('\t')]
  })
}

function terminalRows(entry: AuditEntryView, look: Look, now: number): string[] {
  const { seq, type, lease } = entry
  const at = visible(clock(entry.at, now))
  const start = `${String(seq).padStart(6)}  ${paint(look, 'dim', at)}  ${visible(type).padEnd(16)}`
  const place = `  ${visible(lease ?? '-').padEnd(30)}  `
  const data = visible(flat(toldFirst(entry.data)))
  if (!type.endsWith('.refused')) {
    const used = 6 + 2 + at.length + 2 + Math.max(visible(type).length, 16) + place.length
    return [`${start}${place}${cut(data, look.columns - used)}`.trimEnd()]
  }
  return [`${start}${place}`.trimEnd(), `${' '.repeat(8)}${data}`.trimEnd()]
}

/** The reason before what it is the reason of. */
function toldFirst({ reason = null, message = null, ...rest }: JsonObject): JsonObject {
  return withoutNulls({ reason, message, ...rest })
}

function withoutNulls(data: JsonObject): JsonObject {
  return Object.fromEntries(
    Object.entries(data)
      .filter(([, value]) => value !== null)
      .map(([key, value]) => [key, isObject(value) ? withoutNulls(value) : value]),
  )
}

function cut(text: string, room: number): string {
  const characters = [...text]
  if (characters.length <= room) return text
  return room < 1 ? '' : `${characters.slice(0, room - 1).join('')}…`
}

function flat(data: JsonObject, prefix = ''): string {
  return Object.entries(data)
    .map(([key, value]) => pair(`${prefix}${key}`, value))
    .filter((text) => text !== '')
    .join(' ')
}

function pair(key: string, value: Json): string {
  if (typeof value === 'string' && /^[^\s"=]+$/.test(value)) return `${key}=${value}`
  if (isObject(value)) return flat(value, `${key}.`)
  return `${key}=${JSON.stringify(value)}`
}

export interface LeaseHistory {
  readonly lease: LeaseView
  readonly entries: readonly AuditEntryView[]
}

export function historyText({ lease, entries }: LeaseHistory, look: Look, now: number): string[] {
  return [
    ...leaseRows([lease], now, look),
    ...(lease.reason === null ? [] : [`reason: ${visible(lease.reason)}`]),
    '',
    ...entryRows(entries, look, now),
  ]
}

export function verdictText({ ok, entries, head, bad }: AuditVerdict, look: Look): string[] {
  if (ok) {
    const end = head === null ? '' : `, head ${head.seq} ${visible(head.hash)}`
    const count = `${entries} ${entries === 1 ? 'entry' : 'entries'}`
    return [`${paint(look, 'good', 'intact')}: ${count}${end}`]
  }
  const where =
    bad === null ? 'at an unknown entry' : `at entry ${bad.seq} (${visible(bad.problem)})`
  const what = bad === null ? '' : `: ${visible(bad.message)}`
  return [`${paint(look, 'bad', 'broken')} ${where}${what}`]
}
