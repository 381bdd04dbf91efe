import type { DoctorReport, FindingView } from '../api/types.ts'
import { type Look, paint, visible } from './terminal.ts'

const STYLE = { ok: 'good', note: 'dim', warning: 'warn', problem: 'bad' } as const

/** `warning  may create roles` and, below it, what the admin may do. */
export function findingLines(findings: readonly FindingView[], look: Look): string[] {
  return findings.flatMap(({ level, message, hint }) => [
    `  ${paint(look, STYLE[level] ?? 'bad', level.padEnd(7))}  ${visible(message)}`,
    ...(hint === null ? [] : [`           ${paint(look, 'dim', 'hint:')} ${visible(hint)}`]),
  ])
}

export function doctorText({ sections }: DoctorReport, look: Look): string[] {
  return sections.flatMap(({ title, findings }, index) => [
    ...(index === 0 ? [] : ['']),
    paint(look, 'strong', visible(title)),
    ...findingLines(findings, look),
  ])
}

export function hasProblem({ sections }: DoctorReport): boolean {
  return sections.some(({ findings }) => findings.some(({ level }) => level === 'problem'))
}
