import type { Json } from '../../../../src/lib/json.ts'
import type { GateAttack, Sending } from './attack.ts'

export type Names = Readonly<Record<string, string>>

const NAME = /«(\w+)(?::(\w+))?»/g

const hex = (text: string, before: string, width: number) =>
  [...text]
    .map((letter) => before + letter.charCodeAt(0).toString(16).padStart(width, '0'))
    .join('')

const SPELLINGS: Readonly<Record<string, (text: string) => string>> = {
  escaped: (text) => hex(text, '\\u', 4),
  percent: (text) => hex(text, '%', 2),
  upper: (text) => text.toUpperCase(),
  cut: (text) => text.slice(0, -1),
  basic: (text) => Buffer.from(`agent:${text}`).toString('base64'),
}

/** Puts in what the names stand for; a name that nothing stands behind is a mistake in the data. */
export function fill(text: string, names: Names): string {
  return text.replace(NAME, (whole, name: string, spelling?: string) => {
    const value = names[name]
    const spell = spelling === undefined ? (same: string) => same : SPELLINGS[spelling]
    if (value === undefined || value === '' || !spell) throw new Error(`nothing is called ${whole}`)
    return spell(value)
  })
}

export function fillJson(value: Json, names: Names): Json {
  return JSON.parse(fill(JSON.stringify(value), names))
}

export function fillSending(send: Sending, names: Names): Sending {
  if (send.kind === 'raw') {
    const bytes = fill(send.bytes.replaceAll('«length»', '\u0000length'), names)
    const body = bytes.slice(bytes.indexOf('\r\n\r\n') + 4)
    return {
      ...send,
      to: fill(send.to, names),
      bytes: bytes.replaceAll('\u0000length', String(body.length)),
    }
  }
  return {
    ...send,
    path: fill(send.path, names),
    host: fill(send.host, names),
    headers: send.headers.map(([name, value]) => [fill(name, names), fill(value, names)] as const),
    body: typeof send.body === 'string' ? fill(send.body, names) : send.body,
  }
}

/** Two attacks of one name would be one line in the report. */
export function refuseTwins(attacks: readonly GateAttack[]): void {
  const seen = new Set<string>()
  for (const { name, lease } of attacks) {
    const key = `${lease}: ${name}`
    if (seen.has(key)) throw new Error(`two attacks are called "${key}"`)
    seen.add(key)
  }
}
