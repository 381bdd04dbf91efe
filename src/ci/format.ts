import type { LeaseView } from '../api/types.ts'
import { Secret } from '../lib/secret.ts'
import { dotenvLine } from './dotenv.ts'
import { gitlabReport } from './gitlab-report.ts'
import { cannotHold, pairsOf } from './variables.ts'

/** `github` is no text: see `github-files.ts`. */
export const FORMATS = ['env', 'shell', 'json', 'dotenv', 'github', 'gitlab'] as const
export type Format = (typeof FORMATS)[number]

export interface Credentials {
  readonly lease: LeaseView
  readonly variables: Secret<Readonly<Record<string, string>>>
}

type Pairs = readonly (readonly [name: string, value: string])[]

const WRITERS: Readonly<Record<Exclude<Format, 'github' | 'json'>, (pairs: Pairs) => string>> = {
  env: (pairs) => lines(pairs, plainLine),
  shell: (pairs) => lines(pairs, exportLine),
  dotenv: (pairs) => lines(pairs, dotenvLine),
  gitlab: gitlabReport,
}

/**
 * The whole text for standard output, with a final newline. Each value reads back as it is: throws
 * `unsupported`, naming the variable, for one that the format cannot hold.
 */
export function formatCredentials(
  format: Exclude<Format, 'github'>,
  { lease, variables }: Credentials,
): Secret {
  const pairs = pairsOf(variables.reveal())
  if (format === 'json') {
    return new Secret(
      `${JSON.stringify({ lease, variables: Object.fromEntries(pairs) }, null, 2)}\n`,
    )
  }
  return new Secret(WRITERS[format](pairs))
}

const lines = (pairs: Pairs, line: (name: string, value: string) => string) =>
  pairs.map(([name, value]) => `${line(name, value)}\n`).join('')

/** As `env` prints it and `docker run --env-file` reads it: the value goes to the end of the line. */
function plainLine(name: string, value: string): string {
  if (/[\r\n]/.test(value)) throw cannotHold(name, 'one line', 'shell')
  return `${name}=${value}`
}

/** For `eval` or `.` in any POSIX shell: between single quotes nothing is special but the quote itself. */
function exportLine(name: string, value: string): string {
  return `export ${name}='${value.replaceAll("'", "'\\''")}'`
}
