import type { Secret } from '../../lib/secret.ts'
import type { Connection } from '../../providers/provider.ts'
import type { JudgedRequest } from '../../proxy/gate.ts'
import { Denied } from './denial.ts'
import type { TaskGrant } from './task.ts'

/** Bytes are looked through as they are: to decode a body only for this would cost more than the search. */
type Text = string | Buffer

/** Everything of a request but the one place where its credential belongs. `body`: what is read of it. */
export function textsOf(
  request: JudgedRequest,
  { guard }: TaskGrant,
  body: Uint8Array | null = request.body ?? null,
): readonly Text[] {
  const texts: Text[] = [unescaped(request.path), unescaped(request.query ?? '')]
  for (const [name, value] of request.fields) {
    if (!guard.carriers.some(({ header }) => header === name)) texts.push(name, value)
  }
  if (body) texts.push(bytesOf(body))
  return texts
}

/** The credential belongs into its header and nowhere else: not into what is sent on. */
export function refuseMisplaced(
  texts: readonly Text[],
  { proxied }: TaskGrant,
  connection: Connection,
): void {
  const about = {
    code: 'foreign_credential',
    detail: 'a credential stands where none belongs: in the path, the query, a field or the body',
    next: "send this task's credential in its usual header alone",
  } as const
  const found = (secret: Secret | null) => secret !== null && mentions(texts, secret)
  // The master key itself, in the hands of the task: the person has to hear of it.
  const real = [connection.secret, proxied.minted].find(found)
  if (real) throw new Denied({ ...about, foreign: real.reveal() })
  if (found(proxied.phantom)) throw new Denied(about)
}

function mentions(texts: readonly Text[], secret: Secret): boolean {
  const value = secret.reveal()
  return value !== '' && texts.some((text) => text.includes(value))
}

/** The same bytes. */
export function bytesOf(body: Uint8Array): Buffer {
  return Buffer.from(body.buffer, body.byteOffset, body.byteLength)
}

/** Byte by byte: one escape that is no UTF-8 must not keep the others closed. */
function unescaped(text: string): string {
  if (!text.includes('%')) return text
  return text.replace(/%([0-9a-f]{2})/gi, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  )
}
