// The tables of docs/isolation.md are what these suites saw: they write them, or fail for a difference.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'

const FILE = join(import.meta.dirname, '../../docs/isolation.md')

/**
 * Lines between `<!-- name -->` and `<!-- end of name -->`. `whole`: all of them were seen; else those that were
 * seen have to be among them, since this machine cannot try the rest. With UPDATE_DOCS=1 a whole table is written.
 */
export function expectInDocs(name: string, lines: readonly string[], whole: boolean): void {
  const [begin, end] = [`<!-- ${name} -->\n`, `<!-- end of ${name} -->`]
  const text = readFileSync(FILE, 'utf8')
  const from = text.indexOf(begin) + begin.length
  const to = text.indexOf(end)
  if (from < begin.length || to < from)
    throw new Error(`docs/isolation.md has no place for ${name}`)
  if (whole && process.env['UPDATE_DOCS']) {
    writeFileSync(FILE, `${text.slice(0, from)}${lines.join('\n')}\n${text.slice(to)}`)
    return
  }
  const there = text.slice(from, to - 1).split('\n')
  const hint = 'docs/isolation.md differs from what was seen: run the suite with UPDATE_DOCS=1'
  if (whole) expect(there, hint).toEqual(lines)
  else expect(there, hint).toEqual(expect.arrayContaining([...lines]))
}

export function row(...cells: readonly string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
}
