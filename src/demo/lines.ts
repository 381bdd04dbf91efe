import { type Paper, paragraph, type Style } from './paper.ts'
import { gone } from './words.ts'

export type Claim = readonly [held: boolean, text: string]

const MARK_WIDTH = 9

/** A word in the margin and what happened beside it. */
export function marked(paper: Paper, style: Style, mark: string, text: string): readonly string[] {
  const [first = '', ...rest] = paragraph(paper, text, `  ${mark.padEnd(MARK_WIDTH)}`)
  return [first.replace(mark, () => paper.paint(style, mark)), ...rest]
}

export function lossLines(
  paper: Paper,
  headline: string,
  lost: readonly string[],
): readonly string[] {
  return [
    ...marked(paper, 'bad', 'lost', headline),
    ...lost.flatMap((line) => marked(paper, 'bad', '', gone(line))),
  ]
}

export function claimLines(paper: Paper, claims: readonly Claim[]): readonly string[] {
  return claims.flatMap(([held, text]) =>
    marked(paper, held ? 'good' : 'bad', held ? 'ok' : 'NOT OK', text),
  )
}
