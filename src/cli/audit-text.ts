import type { AuditEntryView, AuditVerdict, LeaseView } from '../api/types.ts'
import { isObject, type Json, type JsonObject } from '../lib/json.ts'
import { leaseRows } from './lease-text.ts'
import { clock } from './moments.ts'
import { type Look, paint, visible } from './terminal.ts'

export const NO_ENTRIES: readonly string[] = ['no audit entries']

/** `seq  time  type  lease  key=value …`, a line an entry; cut at the edge of a terminal. */
export function entryRows(entries: readonly AuditEntryView[], look: Look, now: number): string[] {
  return entries.map((entry) => {
    const fields = [String(entry.seq), entry.at, entry.type, entry.lease ?? '-', flat(entry.data)]
    if (!look.terminal) return fields.map(visible).join('\t')
    const [seq = '', , type = '', lease = '', data = ''] = fields.map(visible)
    const at = paint(look, 'dim', visible(clock(entry.at, now)))
    const place = `${type.padEnd(15)}  ${lease.padEnd(30)}`
    const used = 6 + 2 + visible(clock(entry.at, now)).length + 2 + place.length + 2
    return `${seq.padStart(6)}  ${at}  ${place}  ${cut(data, look.columns - used)}`.trimEnd()
  })
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
