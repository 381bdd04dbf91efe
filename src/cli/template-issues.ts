import type { CheckResult } from '../api/types.ts'
import { BrokerError } from '../errors.ts'
import { issueLines } from './template-text.ts'
import { lookOf, remark } from './terminal.ts'

/** Throws `config_invalid` for a broker.yaml with errors, after listing them (in `details` for JSON). */
export function requireValid(
  file: string,
  { ok, issues }: Pick<CheckResult, 'ok' | 'issues'>,
  json: boolean,
): void {
  if (ok) return
  if (!json) remark(issueLines(file, issues, lookOf(process.stderr, process.env)))
  const count = issues.filter(({ severity }) => severity === 'error').length
  throw new BrokerError(
    'config_invalid',
    `"${file}" has ${count} ${count === 1 ? 'error' : 'errors'}`,
    { hint: 'correct the lines named, then try again', details: { issues } },
  )
}
