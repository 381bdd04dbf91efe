import { scrubEnvironment } from '../scrub.ts'
import { valueShape } from '../value-shape.ts'

/** Takes the place of what was taken out: also inside `if … fi` a shell goes on as before. */
const NOTHING = ': # taken out for this task'

/** A value longer than this many lines is no value, and then nothing after it is believed. */
const LONGEST_VALUE_LINES = 200

/** `NAME=value` wherever a command may stand; and `set -gx NAME value`, `setenv NAME value`. */
const ASSIGNMENT = /(?:^|[\s;&|({"'`])([A-Za-z_][A-Za-z0-9_]*)\+?=(\S*)/g
const SETTING = /(?:^|[\s;&|({])set(?:env)?\s+(?:-{1,2}[A-Za-z-]+\s+)*([A-Za-z_]\w*)\s+(\S+)/g

/**
 * A shell's start-up file without the lines that put a credential or a loader into the environment,
 * which a scrubbed one would get back from there. A value over several lines goes whole; one that has no end
 * takes the rest of the file along.
 */
export function filteredShell(text: string): string {
  const kept: string[] = []
  const lines = text.split('\n')
  for (let at = 0; at < lines.length; at++) {
    const line = lines[at] ?? ''
    if (!bringsSecret(line)) kept.push(line)
    else {
      kept.push(NOTHING)
      at = endOfValue(lines, at)
    }
  }
  return kept.join('\n')
}

/** A tool's settings without the lines that hold a credential: registries, indexes, their passwords. */
export function filteredSettings(text: string): string {
  const lines = text.split('\n')
  const kept: string[] = []
  for (let at = 0; at < lines.length; at++) {
    const line = lines[at] ?? ''
    if (!SECRET_SETTING.test(line) && !looksSecret(line)) kept.push(line)
    else if (line.includes('-----BEGIN')) at = endOfValue(lines, at)
  }
  return kept.join('\n')
}

const SECRET_SETTING =
  /(?:token|secret|passw|_auth|authident|api_?key|credential|cookie)[^=:]*[=:]/i

function looksSecret(line: string): boolean {
  return valueShape(line) !== undefined
}

function bringsSecret(line: string): boolean {
  if (looksSecret(line)) return true
  for (const [, name = '', value = ''] of [
    ...line.matchAll(ASSIGNMENT),
    ...line.matchAll(SETTING),
  ]) {
    const plain = value.replace(/^['"]|['"]$/g, '') || 'unknown'
    if (scrubEnvironment({ [name]: plain }).removed.length > 0) return true
  }
  return false
}

/** The last line of the value that begins at `at`: quotes closed, no line to follow, key at its end. */
function endOfValue(lines: readonly string[], at: number): number {
  let text = ''
  for (let end = at; end < lines.length && end - at < LONGEST_VALUE_LINES; end++) {
    text += `${lines[end]}\n`
    if (isWhole(text)) return end
  }
  return lines.length
}

function isWhole(text: string): boolean {
  if (text.includes('-----BEGIN') && !text.includes('-----END')) return false
  if (/<<-?\s*['"]?\w+['"]?/.test(text)) return false // a here-document: where it ends is not worth a guess
  let quote = ''
  for (let at = 0; at < text.length; at++) {
    const sign = text[at] ?? ''
    if (sign === '\\' && quote !== "'") at++
    else if (quote !== '' && sign === quote) quote = ''
    else if (quote === '' && (sign === '"' || sign === "'" || sign === '`')) quote = sign
  }
  return quote === '' && !/\\\n$/.test(text)
}
