export type Style = 'good' | 'warn' | 'bad' | 'dim' | 'strong'

/** How the reader wants the story. Nothing in this folder writes by itself. */
export interface Paper {
  /** Infinity for a pipe: one thing a line. */
  readonly columns: number
  paint(style: Style, text: string): string
}

/** Wider lines are hard to read, whatever the terminal could show. */
const WIDEST = 120

/** A paragraph, its first line after `first` and the others as far in. */
export function paragraph(
  { columns }: Paper,
  text: string,
  first = '',
  dress = (line: string) => line,
): readonly string[] {
  const width = columns === Number.POSITIVE_INFINITY ? columns : Math.min(columns, WIDEST)
  const indent = ' '.repeat(first.length)
  return folded(text, Math.max(20, width - first.length)).map(
    (line, index) => (index === 0 ? first : indent) + dress(line),
  )
}

function folded(text: string, width: number): readonly string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    const longer = line === '' ? word : `${line} ${word}`
    if (longer.length <= width || line === '') line = longer
    else {
      lines.push(line)
      line = word
    }
  }
  return [...lines, line]
}
