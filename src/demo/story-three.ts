import { type Around, areShut, type Bare, ENDS, type LeftOut, wasOpen } from './bypass/result.ts'
import type { Tried } from './bypass/terms.ts'
import { claimLines, marked } from './lines.ts'
import { type Paper, paragraph } from './paper.ts'
import { ACTS, AROUND_IN_WORDS, STOPPED_BY } from './words.ts'

/** In one line: what is missing, and how to get it. */
export function leftOut({ reason, hint }: LeftOut, paper: Paper): readonly string[] {
  const why = `left out: isolation confine is not possible here: ${reason}; ${hint}`
  return ['', paper.paint('strong', ACTS[3].title), ...paragraph(paper, why)]
}

export function tried(tried: Tried, level: 'scrub' | 'confine', paper: Paper): readonly string[] {
  if (tried.kind === 'fallback') {
    const found = 'the key in tools/domains/.railway-token, a name that says nothing'
    return marked(paper, 'warn', 'found', found)
  }
  const what = AROUND_IN_WORDS[tried.way]
  const { code } = tried
  // The proxy has been seen refusing already; what is news is the walls.
  if (level === 'scrub' && code !== null && code === ENDS[tried.way].bare) return []
  if (code === null) return marked(paper, 'bad', 'DONE', what)
  return marked(paper, 'good', 'stopped', `${what} · ${STOPPED_BY[code] ?? code}`)
}

export function wipedBare({ seconds, lost }: Bare, paper: Paper): readonly string[] {
  if (lost.length === 0) return marked(paper, 'bad', 'NOT OK', 'production lost nothing')
  const headline = `the same of production, ${seconds.toFixed(1)} s after the start; it is put back`
  return marked(paper, 'bad', 'lost', headline)
}

export function aroundBroker(around: Around, paper: Paper): readonly string[] {
  const { ways, walled } = around
  const shut = ways.filter(({ way, walled }) => walled === ENDS[way].walled).length
  return [
    '',
    paper.paint('strong', 'Afterwards'),
    ...claimLines(paper, [
      [wasOpen(around), 'without walls the agent had every key, and the cloud'],
      [
        areShut(around),
        `behind them ${shut} of ${ways.length} ways are shut, each for its own reason`,
      ],
      [!walled.reachedCloud, 'nothing that it sent from there reached the cloud'],
      [walled.productionIntact, 'production is as it was, to the last backup'],
      [walled.level === 'confine', `the broker has that task down as ${walled.level}`],
    ]),
  ]
}
