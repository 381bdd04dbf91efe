import type { DoctorReport, FindingView, LeaseView } from '../api/types.ts'

/** How far `exec` keeps a task apart on this machine, and why no further. */
export interface ReachedLevel {
  readonly level: LeaseView['isolation']
  readonly shortfall: { readonly reason: string; readonly hint: string } | undefined
}

const MEANS: Readonly<Record<LeaseView['isolation'], string>> = {
  scrub: 'a clean environment, and nothing hidden',
  mask: 'files with keys, sockets and other processes are hidden; the network is open',
  confine: 'files with keys, sockets and other processes are hidden; the proxy is the only way out',
}

/** Never more than is true, and the rung below beside the one that is reached. */
export function isolationSection(reached: ReachedLevel): DoctorReport['sections'][number] {
  const { level, shortfall } = reached
  return {
    title: 'isolation',
    findings: [
      {
        level: level === 'confine' ? 'ok' : 'warning',
        message: `broker exec reaches "${level}": ${MEANS[level]}`,
        hint: null,
      },
      ...(shortfall === undefined ? [] : [missing(level, shortfall)]),
      SAME_USER,
    ],
  }
}

function missing(
  level: LeaseView['isolation'],
  { reason, hint }: NonNullable<ReachedLevel['shortfall']>,
): FindingView {
  const next = level === 'scrub' ? 'mask' : 'confine'
  return { level: 'warning', message: `"${next}" does not work here: ${reason}`, hint }
}

const SAME_USER: FindingView = {
  level: 'note',
  message:
    'at "scrub" a process of the same user is not a boundary, and the level of a lease is what the client that asked for it said',
  hint: 'a template with isolation: mask or confine is issued for nothing less',
}
