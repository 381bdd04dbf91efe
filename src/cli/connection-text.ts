import type { ConnectionList, ConnectResult } from '../api/types.ts'
import type { JsonObject } from '../lib/json.ts'
import { findingLines } from './finding-text.ts'
import { clock } from './moments.ts'
import { table } from './table.ts'
import { type Look, visible } from './terminal.ts'

export const NO_CONNECTIONS: readonly string[] = [
  'no connections',
  'broker connect PROVIDER stores one; jwt credentials need none',
]

export function connectionRows({ connections }: ConnectionList, look: Look, now: number): string[] {
  return table(
    [
      { title: 'CONNECTION' },
      { title: 'PROVIDER' },
      { title: 'LIVE' },
      { title: 'CHANGED' },
      { title: 'SETTINGS', least: 12 },
    ],
    connections.map((connection) => [
      { text: connection.name },
      { text: connection.provider },
      { text: String(connection.liveLeases) },
      { text: clock(connection.updatedAt, now) },
      { text: settingsText(connection.settings) },
    ]),
    look,
  )
}

function settingsText(settings: JsonObject): string {
  const entries = Object.entries(settings).map(([key, value]) =>
    typeof value === 'string' ? `${key}=${value}` : `${key}=${JSON.stringify(value)}`,
  )
  return entries.join(' ') || '-'
}

export function connectText({ connection, findings, replaced }: ConnectResult, look: Look) {
  const verb = replaced ? 'replaced' : 'connected'
  return [
    `${verb} ${visible(connection.name)} (${visible(connection.provider)})`,
    ...findingLines(findings, look),
  ]
}
