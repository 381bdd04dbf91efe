import type { JsonObject } from '../../lib/json.ts'
import { claimOf } from './claims.ts'
import type { TrustRule } from './compile.ts'
import type { ClaimFailure } from './match.ts'

/**
 * Events that only someone who may write to the repository can cause. The others run for outsiders as
 * well and with the repository's own identity: `pull_request_target`, `issue_comment`, `workflow_run`,
 * `pull_request` and `fork` among them; so do events that are not known yet.
 */
export const INSIDER_EVENTS: readonly string[] = [
  'push',
  'schedule',
  'workflow_dispatch',
  'repository_dispatch',
  'release',
  'deployment',
  'merge_group',
]

/** True while someone has a shell in the job: what runs there is not what the repository says. */
const SSH_RERUN = 'oidc.circleci.com/ssh-rerun'

/**
 * What is refused on every rule, unless the rule names the claim itself and so says what it takes.
 * Looks at the claims and not at the issuer: an installation of one's own signs the same ones.
 */
export function outsider(rule: TrustRule, claims: JsonObject): ClaimFailure | null {
  const event = claimOf(claims, 'event_name')
  if (!rule.claims.has('event_name') && (event !== undefined || rule.hasEvents)) {
    if (event === undefined) return failure('event_name', 'missing', INSIDER_EVENTS)
    if (typeof event !== 'string') return failure('event_name', 'type', INSIDER_EVENTS, event)
    if (!INSIDER_EVENTS.includes(event)) return failure('event_name', 'event', [], event)
  }
  const rerun = claimOf(claims, SSH_RERUN)
  if (rule.claims.has(SSH_RERUN) || rerun === undefined || rerun === false) return null
  return failure(SSH_RERUN, typeof rerun === 'boolean' ? 'value' : 'type', [false], rerun)
}

function failure(
  claim: string,
  problem: ClaimFailure['problem'],
  expected: ClaimFailure['expected'],
  actual?: ClaimFailure['actual'],
): ClaimFailure {
  return { claim, problem, expected, ...(actual !== undefined && { actual }) }
}
