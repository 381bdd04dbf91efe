import { BrokerError } from '../errors.ts'
import { cannotHold } from './variables.ts'

/** https://docs.gitlab.com/ci/yaml/artifacts_reports/#artifactsreportsdotenv: unless an admin changed them. */
const LARGEST = 5 * 1024
const MOST = 20

/**
 * A report for `artifacts:reports:dotenv`. GitLab takes no quotes, comments or empty lines, cuts white
 * space off, and expands `$` when the variable is used: a value that would not survive is refused.
 */
export function gitlabReport(pairs: readonly (readonly [string, string])[]): string {
  const lines = pairs.map(([name, value]) => {
    if (/[\r\n$]/.test(value) || value !== value.trim()) {
      throw cannotHold(name, 'a dotenv report of GitLab', 'shell')
    }
    return `${name}=${value}\n`
  })
  const text = lines.join('')
  if (pairs.length > MOST) throw tooMuch(`${pairs.length} variables, and ${MOST} are allowed`)
  if (Buffer.byteLength(text) > LARGEST) throw tooMuch(`more than ${LARGEST} bytes`)
  return text
}

function tooMuch(why: string): BrokerError {
  return new BrokerError(
    'unsupported',
    `GitLab does not take this lease as a dotenv report: ${why}`,
    {
      hint: 'use --format shell in the job that needs the credentials, or a template with fewer grants',
    },
  )
}
