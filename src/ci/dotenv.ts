import { cannotHold } from './variables.ts'

/** What every reader takes as it is, without quotes. */
const BARE = /^[A-Za-z0-9_./:@%+,=-]+$/

/**
 * One line of a .env file that its readers (Node, the dotenv packages of npm, Python, Ruby and Go, and a
 * shell) all take for the same value. They disagree about escapes: so there are none, and a value that
 * would need one is refused.
 */
export function dotenvLine(name: string, value: string): string {
  if (BARE.test(value)) return `${name}=${value}`
  // Some turn CR into LF; Python's reads \\, \' and ${NAME} inside single quotes, too.
  const single = !/['\r]|\\\\|\\$|\$\{/.test(value)
  if (single) return `${name}='${value}'`
  if (!/["\\$`\r\n!]/.test(value)) return `${name}="${value}"`
  throw cannotHold(name, 'a .env file', 'shell')
}
