import { Secret } from '../lib/secret.ts'

/** Variables that say where, not what opens it: with them masked no log could be read. */
const TOLD: ReadonlySet<string> = new Set([
  'BROKER_CA_FILE',
  'BROKER_ENV',
  'BROKER_EXPIRES_AT',
  'BROKER_LEASE',
  'BROKER_SERVER',
  'PGDATABASE',
  'PGHOST',
  'PGPORT',
  'PGSSLMODE',
  'PGUSER',
])
/** Of a secret of several lines: a line as short as `}` is none, and stands in every log. */
const SHORTEST_LINE = 3

/** What must not be seen of these variables: whole values, and a password that stands in a URL. */
export function secretValues(
  variables: Secret<Readonly<Record<string, string>>>,
): Secret<readonly string[]> {
  const values = Object.entries(variables.reveal())
    .filter(([name]) => !TOLD.has(name))
    .flatMap(([, value]) => [value, ...passwordIn(value)])
  return new Secret([...new Set(values)].filter((value) => value.trim() !== ''))
}

/**
 * Workflow commands that let GitHub's runner blot these out of the log, one a line, each secret whole
 * and line by line. They have to be on standard output before a secret goes anywhere else; the runner
 * takes them out of the log.
 */
export function maskLines(secrets: readonly string[]): string {
  const parts = secrets.flatMap((secret) => [secret, ...linesOf(secret)])
  return [...new Set(parts)].map((part) => `::add-mask::${escaped(part)}\n`).join('')
}

function linesOf(secret: string): readonly string[] {
  const lines = secret.split(/[\r\n]+/)
  return lines.length === 1 ? [] : lines.filter((line) => line.trim().length >= SHORTEST_LINE)
}

/** As the runner's own toolkit escapes the data of a command. */
function escaped(text: string): string {
  return text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A')
}

/** Written in it, and as it is meant. */
function passwordIn(value: string): readonly string[] {
  const password = URL.canParse(value) ? new URL(value).password : ''
  if (password === '') return []
  try {
    return [password, decodeURIComponent(password)]
  } catch {
    return [password]
  }
}
