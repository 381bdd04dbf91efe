import { SecondTime } from '../../../lib/second-time.ts'
import { type ChosenDocument, chooseOperation } from './document.ts'
import { printDocument } from './print.ts'
import type { Below } from './root-selections.ts'

/** What a document's text alone decides: its tree, and the one text in which it is sent. */
export interface Prepared {
  readonly document: ChosenDocument
  readonly text: string
  /** What is known of its selections; null where the document is not kept. */
  readonly below: Below | null
}

/** Clients send the same few documents again and again, with other variables. */
const KEPT = 64
const LONGEST = 8192

const kept = new Map<string, Prepared>()

/** A tree that is kept and never asked for again costs more to collect than it cost to make. */
const once = new SecondTime(KEPT)

/**
 * Parses a document and writes it anew, or finds that done before. Only syntax is remembered, which
 * equal texts share whatever their variables are; every judgement is made afresh on it. Remembered is
 * what comes a second time.
 */
export function prepare(source: string, operationName: string | null): Prepared {
  // A name of GraphQL holds no line break, so no two pairs share a key.
  const key = `${operationName ?? ''}\n${source}`
  const found = kept.get(key)
  if (found) return found
  const document = chooseOperation(source, operationName)
  const text = printDocument(document)
  if (source.length > LONGEST || !once.has(key)) return { document, text, below: null }
  const prepared = { document, text, below: new Map() }
  const oldest = kept.size >= KEPT ? kept.keys().next().value : undefined
  if (oldest !== undefined) kept.delete(oldest)
  kept.set(key, prepared)
  return prepared
}
