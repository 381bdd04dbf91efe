import { type Document, LineCounter, type Node, parseAllDocuments } from 'yaml'
import type { Json } from '../lib/json.ts'
import type { Finding, Locate, Position } from './finding.ts'
import { locator, plain } from './plain.ts'
import { syntaxMessage } from './syntax.ts'
import { codePoint, UNPRINTABLE } from './words.ts'

/** A YAML text as plain data, and the way back to line and column. */
export interface Source {
  /** Undefined when the findings make it unreliable. */
  readonly value?: Json
  readonly findings: readonly Finding[]
  readonly locate: Locate
}

const MAX_BYTES = 1024 * 1024
const START: Position = { line: 1, column: 1 }

/**
 * Reads one YAML 1.2 document of plain data. Refused with a position, never interpreted: aliases,
 * tags, directives of another version, a second document, duplicate or non-text keys, numbers in any
 * form but plain decimal. Never throws.
 */
export function parseSource(text: string): Source {
  const refused = refuseText(text)
  if (refused) return refused
  const lines = new LineCounter()
  try {
    const documents = parseAllDocuments(text, {
      lineCounter: lines,
      version: '1.2',
      schema: 'core',
      merge: false,
      uniqueKeys: false, // checked in `plain`: the parser's own check takes quadratic time
      prettyErrors: false,
      logLevel: 'silent',
    })
    return fromDocuments(documents, lines)
  } catch {
    // The parser recurses: what exhausts the stack is the only text it cannot report on itself.
    return broken('the file is nested too deeply', START)
  }
}

/** Cheap looks at the text itself, before a parser spends time on it. */
function refuseText(text: string): Source | undefined {
  if (Buffer.byteLength(text) > MAX_BYTES) return broken('the file is larger than 1 MiB', START)
  const found = UNPRINTABLE.exec(text)
  if (!found) return undefined
  const before = text.slice(0, found.index).split('\n')
  const column = (before[before.length - 1] ?? '').length + 1
  const position = { line: before.length, column }
  return broken(`the file holds the unprintable character ${codePoint(found[0])}`, position)
}

function fromDocuments(documents: readonly Document.Parsed[], lines: LineCounter): Source {
  const at = (offset: number): Position => {
    const { line, col } = lines.linePos(offset)
    return { line: Math.max(1, line), column: Math.max(1, col) }
  }
  const [document, second] = documents
  // The first slip only: what the parser says after it is mostly its echo.
  const slip = document?.errors[0] ?? document?.warnings[0]
  if (slip) return broken(syntaxMessage(slip.code), at(slip.pos[0]))
  const root: Node | null | undefined = document?.contents
  if (!document || !root) return broken('the file is empty', START)
  const { explicit, version } = document.directives.yaml
  if (explicit && version !== '1.2') return broken('only YAML 1.2 is read', START)
  if (second) return broken('only one document is read', at(second.range[0]))
  const findings: Finding[] = []
  const value = plain(root, at, findings)
  const locate = locator(root, at)
  return findings.length > 0 ? { findings, locate } : { value, findings, locate }
}

function broken(message: string, position: Position): Source {
  const finding: Finding = { severity: 'error', message, path: [], at: 'value', position }
  return { findings: [finding], locate: () => position }
}
