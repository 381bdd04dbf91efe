import type { Lease } from '../../core/lease.ts'
import type { Subject } from '../../core/subject.ts'
import type { Json, JsonObject } from '../../lib/json.ts'
import type { Asked } from '../asked.ts'
import { requestFacts } from '../record.ts'

const MAX_CLAIMS = 64
const MAX_TEXT = 500
const MAX_NAME = 100

/** As `requestFacts`; of a subject also who its issuer says it is, and which rule let it in. */
export function askedFacts({ caller, choice }: Asked, lease: Lease): JsonObject {
  const facts = requestFacts(lease)
  if (caller.kind !== 'subject') return facts
  const { subject, address } = caller
  return {
    ...facts,
    subject: { ...subjectFacts(subject), rule: choice.rule, claims: claimFacts(subject.claims) },
    address,
  }
}

/** Who it is, in two lines. */
export function subjectFacts({ issuer, claims }: Subject): { issuer: string; sub: string } {
  return { issuer: cut(issuer), sub: cut(String(claims['sub'] ?? '')) }
}

/** Claims are no secret, but a stranger's text: only so many, and each only so long. */
function claimFacts(claims: JsonObject): JsonObject {
  return Object.fromEntries(
    Object.entries(claims)
      .slice(0, MAX_CLAIMS)
      .map(([name, value]) => [name.slice(0, MAX_NAME).toWellFormed(), short(value)]),
  )
}

/** What is not a plain value stands as its JSON. */
function short(value: Json): Json {
  if (typeof value === 'string') return cut(value)
  if (typeof value !== 'object' || value === null) return value
  return cut(JSON.stringify(value))
}

/** Half a character at the end would be none that canonical JSON can hold. */
export function cut(text: string): string {
  return (text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}…` : text).toWellFormed()
}
