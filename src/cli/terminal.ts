import { fstatSync, writeSync } from 'node:fs'

/**
 * The rules of output; this is the only file of the CLI that writes.
 *
 * 1. Standard output carries the answer and nothing else. What is for the person at the keyboard
 *    (errors, hints, progress, questions, remarks) goes to standard error.
 * 2. A terminal gets colour, columns and redrawing. A pipe gets plain text: one record a line,
 *    fields divided by tabs, no heading. NO_COLOR and TERM=dumb take the colour away.
 * 3. Text that others chose (names, commands, reasons, log lines) passes through `visible` before
 *    it is written, to a pipe too: whoever reads the file later has a terminal.
 * 4. An error is `broker: ` and one lower-case line without a full stop, then `hint: ` and a step.
 * 5. With `--json` there is one JSON document on standard output, an error included, and no text.
 * 6. A wait of more than half a second shows on standard error and is erased afterwards.
 */
type Environment = Readonly<Record<string, string | undefined>>
export type Style = 'good' | 'warn' | 'bad' | 'dim' | 'strong'

/** How a stream wants its text. Handed to presenters, which write nothing themselves. */
export interface Look {
  readonly terminal: boolean
  readonly colour: boolean
  /** Infinity for a pipe. */
  readonly columns: number
}

export const PLAIN: Look = { terminal: false, colour: false, columns: Number.POSITIVE_INFINITY }

interface Stream {
  readonly isTTY?: boolean
  readonly columns?: number
}

export function lookOf(stream: Stream, env: Environment): Look {
  if (stream.isTTY !== true) return PLAIN
  const colour = !env['NO_COLOR'] && env['TERM'] !== 'dumb'
  return { terminal: true, colour, columns: stream.columns || 80 }
}

const SGR: Readonly<Record<Style, number>> = { good: 32, warn: 33, bad: 31, dim: 2, strong: 1 }

/** `text` must be safe already; the style is dropped where there is no colour. */
export function paint(look: Look, style: Style, text: string): string {
  return look.colour && text !== '' ? `\u001b[${SGR[style]}m${text}\u001b[0m` : text
}

// Everything Unicode calls "other" (controls; what changes the direction or has no width; halves of
// characters; private and unassigned ones, which look like anything), what breaks lines, spaces that
// are not the space, letters and marks that show nothing, and more accents on a letter than any
// script has: they climb into other lines.
const UNSAFE =
  /[\p{C}\p{Zl}\p{Zp}]|(?! )\p{Zs}|[\u115f\u1160\u2800\u3164\uffa0]|\u034f|\u17b4|\u17b5|[\u180b-\u180f]|[\ufe00-\ufe0e]|(?<!\p{Extended_Pictographic})\ufe0f|[\u{e0100}-\u{e01ef}]|(?<=\p{M}{4})\p{M}/gu

function escapeUnits(character: string): string {
  let text = ''
  for (let i = 0; i < character.length; i++) {
    text += `\\u${character.charCodeAt(i).toString(16).padStart(4, '0')}`
  }
  return text
}

/** One line that shows every character it holds: nothing in it can move the cursor or lie in wait. */
export function visible(text: string): string {
  return text.replace(UNSAFE, escapeUnits)
}

/** JSON whose strings are as harmless to a terminal as `visible` text, and the same to a parser. */
export function jsonText(value: unknown, indent = 2): string {
  return JSON.stringify(value, null, indent).replace(UNSAFE, (character) =>
    character === '\n' ? character : escapeUnits(character),
  )
}

/** Writes the answer, a newline after each line. */
export function print(lines: readonly string[]): void {
  if (lines.length > 0) write(`${lines.join('\n')}\n`)
}

/** Writes as it is: for what draws on the terminal. */
export function write(text: string): void {
  process.stdout.write(text)
}

/** Writes beside the answer as it is: for what takes the terminal over while a person is asked. */
export function writeAside(text: string): void {
  process.stderr.write(text)
}

/** Writes a remark for the person. */
export function remark(lines: readonly string[]): void {
  if (lines.length > 0) process.stderr.write(`${lines.join('\n')}\n`)
}

/**
 * Writes to standard output and resolves when all of it has left, for what must not be half told.
 * Rejects with the system's error, also when the reader has gone away.
 */
export async function writeWhole(text: string): Promise<void> {
  const { stdout } = process
  // A reader that has gone is a failure here, not an end like any other (see bin/run.js).
  stdout.removeAllListeners('error')
  stdout.on('error', () => {})
  // A file is written by hand: the stream takes a short write, as of a full disk, for a whole one.
  if (!stdout.isTTY && isFileLike(1)) return writeAll(1, Buffer.from(text))
  await new Promise<void>((resolve, reject) => {
    stdout.write(text, (error) => (error ? reject(error) : resolve()))
  })
}

function isFileLike(descriptor: number): boolean {
  const found = fstatSync(descriptor)
  return found.isFile() || found.isCharacterDevice()
}

function writeAll(descriptor: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; ) at += writeSync(descriptor, bytes, at)
}
