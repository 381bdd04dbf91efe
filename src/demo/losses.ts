import type { Snapshot } from './cloud/snapshot.ts'

const KINDS: Readonly<Record<keyof Snapshot, string>> = {
  environments: 'environment',
  services: 'service',
  deployments: 'deployment',
  variables: 'variable',
  domains: 'domain',
  volumes: 'volume',
  backups: 'backup',
  staged: 'staged change',
  tokens: 'token',
}

/** What was in production before and is no longer there as it was, a line for each thing. */
export function lossesBetween(before: Snapshot, after: Snapshot): readonly string[] {
  return kinds().flatMap((kind) =>
    before[kind]
      .filter((line) => !after[kind].includes(line))
      .map((line) => `${KINDS[kind]} ${line}`),
  )
}

/** Nothing gone, nothing changed, nothing new. */
export function isSame(before: Snapshot, after: Snapshot): boolean {
  return JSON.stringify(before) === JSON.stringify(after)
}

function kinds(): readonly (keyof Snapshot)[] {
  return Object.keys(KINDS) as (keyof Snapshot)[]
}
