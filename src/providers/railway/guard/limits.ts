/** What one request may be at most. The CLI's largest documents are below a tenth of each. */
export const LIMITS = {
  /** Bytes of a GraphQL request body. */
  bodyBytes: 1024 * 1024,
  /** Characters of the document within it. */
  documentChars: 128 * 1024,
  /** Lexical tokens of the document. */
  tokens: 8000,
  /** Nested selections, fragments counted where they are spread. */
  depth: 32,
  /** Nested objects and lists in variables and literals. */
  valueDepth: 48,
  /** Selections judged, each fragment as often as it is spread: stops documents that unfold. */
  selections: 20_000,
  /** Operations that one request may run. */
  rootFields: 50,
} as const
