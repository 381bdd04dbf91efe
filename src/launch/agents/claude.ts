import type { AdjustFacts, Adjustment } from './profile.ts'

const SWITCH = 'CLAUDE_CODE_SUBPROCESS_ENV_SCRUB'

/** What it takes from its tools with that switch on, of what a lease could bring (2.1.197). */
const TAKEN = new Set([
  'ANTHROPIC_API_KEY',
  'ANTHROPIC_AUTH_TOKEN',
  'AWS_SECRET_ACCESS_KEY',
  'AWS_SESSION_TOKEN',
  'AWS_BEARER_TOKEN_BEDROCK',
  'GOOGLE_APPLICATION_CREDENTIALS',
  'AZURE_CLIENT_SECRET',
  'AZURE_CLIENT_CERTIFICATE_PATH',
])

/**
 * The switch keeps the person's own login from the tools, so it stays on unless it would take away
 * what the lease was asked for.
 */
export function adjustClaude(facts: AdjustFacts): Adjustment {
  const lost = facts.granted.filter((name) => TAKEN.has(name))
  if (lost.length === 0) return {}
  const inSettings = SETTINGS.some((path) => path(facts)?.includes(`"${SWITCH}"`))
  const inVariables = isOn(facts.environment[SWITCH])
  if (!inSettings && !inVariables) return {}
  const remark = `${SWITCH} is off for this task: it would keep ${lost.join(', ')} from the tools`
  const given = facts.args.some((argument) => /^--settings(?:=|$)/.test(argument))
  if (inSettings && given) return { remarks: [`${lost.join(', ')} may not reach Claude's tools`] }
  // Settings win over variables.
  const args = inSettings ? ['--settings', JSON.stringify({ env: { [SWITCH]: '0' } })] : []
  return { args, variables: { [SWITCH]: '0' }, remarks: [remark] }
}

function isOn(value: string | undefined): boolean {
  return value !== undefined && !/^(?:|0|false|no|off)$/i.test(value)
}

const SETTINGS: readonly ((facts: AdjustFacts) => string | undefined)[] = [
  ({ stateFolder, text }) => text(`${stateFolder}/settings.json`),
  ({ workTree, text }) => text(`${workTree}/.claude/settings.json`),
  ({ workTree, text }) => text(`${workTree}/.claude/settings.local.json`),
]
