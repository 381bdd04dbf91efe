import { type Look, paint, type Style, visible } from './terminal.ts'

export interface Column {
  readonly title: string
  /** May be cut to this many characters when the terminal is too narrow. Absent: never cut. */
  readonly least?: number
}

export interface Cell {
  readonly text: string
  readonly style?: Style
}

const GAP = 2

/** Aligned columns under a heading for a terminal; tab-separated values without one for a pipe. */
export function table(
  columns: readonly Column[],
  rows: readonly (readonly Cell[])[],
  look: Look,
): string[] {
  if (!look.terminal) return rows.map((row) => row.map((cell) => visible(cell.text)).join('\t'))
  const widths = fitted(columns, rows, look.columns)
  const line = (cells: readonly Cell[]) =>
    cells
      .map((cell, index) => pad(cell, widths[index] ?? 0, look))
      .join(' '.repeat(GAP))
      .trimEnd()
  return [line(columns.map(({ title }) => ({ text: title, style: 'dim' }))), ...rows.map(line)]
}

function fitted(columns: readonly Column[], rows: readonly (readonly Cell[])[], room: number) {
  const widths = columns.map((column, index) =>
    Math.max(length(column.title), ...rows.map((row) => length(visible(row[index]?.text ?? '')))),
  )
  let over = widths.reduce((sum, width) => sum + width + GAP, -GAP) - room
  // From the right: what identifies a row stands on the left.
  for (let index = columns.length - 1; index >= 0 && over > 0; index--) {
    const least = columns[index]?.least
    const width = widths[index] ?? 0
    if (least === undefined || width <= least) continue
    const cut = Math.min(over, width - least)
    widths[index] = width - cut
    over -= cut
  }
  return widths
}

function pad(cell: Cell, width: number, look: Look): string {
  const characters = [...visible(cell.text)]
  const text =
    characters.length > width ? `${characters.slice(0, width - 1).join('')}…` : characters.join('')
  const space = ' '.repeat(Math.max(0, width - length(text)))
  return (cell.style === undefined ? text : paint(look, cell.style, text)) + space
}

function length(text: string): number {
  return [...text].length
}
