import type { Issue } from '../api/types.ts'
import type { JsonObject } from '../lib/json.ts'
import { explain } from './explain.ts'
import { type Locate, toIssues } from './finding.ts'
import { type BrokerDocument, documentSchema } from './schema.ts'
import { parseSource } from './source.ts'

/** A broker.yaml of the right shape, and where each part of it stands. */
export interface ReadDocument {
  readonly content: BrokerDocument
  readonly locate: Locate
}

export interface ReadResult {
  /** Present exactly when no issue is an error. */
  readonly document?: ReadDocument
  readonly issues: readonly Issue[]
}

/**
 * Reads a broker.yaml: form and shape, not yet meaning (`compile` says that). Never throws; every
 * issue has the line and column it is about, in their order. Nothing of the text is executed,
 * included or looked up.
 */
export function readDocument(text: string): ReadResult {
  const { value, findings, locate } = parseSource(text)
  if (value === undefined) return { issues: toIssues(findings, locate) }
  const parsed = documentSchema.safeParse(value)
  if (parsed.success) return { document: { content: parsed.data, locate }, issues: [] }
  const complaints = parsed.error.issues.flatMap((issue) => explain(issue, value as JsonObject))
  return { issues: toIssues(complaints, locate) }
}
