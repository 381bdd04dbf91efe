import { write } from './terminal.ts'

const OPEN = '\u001b[?1049h\u001b[?25l\u001b[?7l' // other screen, no cursor, long lines are cut
const CLOSE = '\u001b[?7h\u001b[?25h\u001b[?1049l'
const BEGIN = '\u001b[?2026h\u001b[H' // hold the picture until it is whole; from the top
const END = '\u001b[J\u001b[?2026l'

/** The whole terminal, redrawn in place: one write a picture and no clearing, so nothing flickers. */
export function screen() {
  write(OPEN)
  return {
    draw(lines: readonly string[]): void {
      const room = (process.stdout.rows || 24) - 1
      const hidden = lines.length - room
      const shown = hidden > 0 ? [...lines.slice(0, room - 1), `… ${hidden + 1} more lines`] : lines
      write(BEGIN + shown.map((line) => `${line}\u001b[K\n`).join('') + END)
    },
    close(): void {
      write(CLOSE)
    },
  }
}
