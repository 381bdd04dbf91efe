import type { Look } from './terminal.ts'

/** Lines that the words and the question around it need. */
const AROUND = 3

/**
 * A QR code of half blocks, two rows a line: dark on light whatever the terminal's own colours are.
 * Where it does not fit, one line that says so: half a code is worse than none.
 */
export async function qrLines(text: string, look: Look): Promise<string[]> {
  const { encode } = await import('uqr')
  const { data } = encode(text, { ecc: 'L', border: 2 })
  const rows = Array.from({ length: Math.ceil(data.length / 2) }, (_, index) => index * 2)
  const width = data[0]?.length ?? 0
  if (rows.length + AROUND > (process.stderr.rows || 24) || width > look.columns) {
    return ['(the terminal is too small for the QR code)']
  }
  // Light modules are drawn, so that it also holds without colours on a dark terminal.
  const block = (top: boolean, bottom: boolean) => (top ? (bottom ? ' ' : '▄') : bottom ? '▀' : '█')
  return rows.map((row) => {
    const line = Array.from({ length: width }, (_, column) =>
      block(data[row]?.[column] ?? false, data[row + 1]?.[column] ?? false),
    ).join('')
    return look.colour ? `\u001b[38;5;231;48;5;16m${line}\u001b[0m` : line
  })
}
