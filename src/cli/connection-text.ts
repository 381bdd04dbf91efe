import type { ConnectionList, ConnectResult } from '../api/types.ts'
import type { JsonObject } from '../lib/json.ts'
import { doctorText, findingLines } from './finding-text.ts'
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

export function connectText(result: ConnectResult, look: Look) {
  const { connection, findings, narrowness, replaced } = result
  const verb = replaced ? 'replaced' : 'connected'
  return [
    `${verb} ${visible(connection.name)} (${visible(connection.provider)})`,
    ...findingLines(findings, look),
    ...(narrowness.length > 0 ? ['', ...doctorText({ sections: narrowness }, look)] : []),
  ]
}
