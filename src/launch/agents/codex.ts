import type { AdjustFacts, Adjustment } from './profile.ts'

const POLICY = 'shell_environment_policy'
const NETWORK = 'sandbox_workspace_write.network_access'

/** A filter of the person's is about what stands in their environment; here that was taken out already. */
const WHOLE_ENVIRONMENT = [
  `${POLICY}.inherit="all"`,
  `${POLICY}.ignore_default_excludes=true`,
  `${POLICY}.exclude=[]`,
  `${POLICY}.include_only=[]`,
]

/** These take Codex's sandbox away, or one without a network instead. */
const OTHER_SANDBOX =
  /^(?:--(?:yolo|dangerously-bypass-approvals-and-sandbox)|(?:--sandbox=|-s=?)?(?:danger-full-access|read-only))$/

const SANDBOX = /^(?:-s|--sandbox|--full-auto)(?:=|$)/

/**
 * Codex's own sandbox refuses its commands every address, the lease's proxy on the loopback included;
 * its filter takes variables away by their names. Both are set by `-c`, which wins over its files, and
 * carries no value of a variable.
 */
export function adjustCodex(facts: AdjustFacts): Adjustment {
  if (facts.granted.length === 0) return {}
  const policy = mentions(facts, POLICY)
  const readOnly = isReadOnly(facts)
  const network = !readOnly && needsNetwork(facts)
  const settings = [...(policy ? WHOLE_ENVIRONMENT : []), ...(network ? [`${NETWORK}=true`] : [])]
  return {
    args: settings.flatMap((setting) => ['-c', setting]),
    remarks: [
      ...(policy ? [`Codex's filter of variables (${POLICY}) is off for this task`] : []),
      ...(readOnly ? [READ_ONLY] : []),
      ...(network ? ["Codex's own sandbox lets its commands use the network for this task"] : []),
      ...(facts.uid === 0 && facts.level !== 'scrub' && (network || readOnly)
        ? ["root inside cannot build Codex's own sandbox: take --sandbox danger-full-access"]
        : []),
    ],
  }
}

const READ_ONLY =
  'codex exec gives its commands no network unless told otherwise: take --sandbox workspace-write'

/** `codex exec` begins with the strictest of its sandboxes, which has no setting for the network (0.169). */
function isReadOnly(facts: AdjustFacts): boolean {
  const { args } = facts
  if (!args.includes('exec') && !args.includes('e')) return false
  const said = args.some((one) => SANDBOX.test(one) || OTHER_SANDBOX.test(one))
  return !said && !mentions(facts, 'sandbox_mode')
}

function needsNetwork({ args }: AdjustFacts): boolean {
  if (args.some((one) => OTHER_SANDBOX.test(one))) return false
  return !args.some((one) => one.startsWith(`${NETWORK}=`) || one.includes(`=${NETWORK}=`))
}

function mentions({ args, stateFolder, workTree, text }: AdjustFacts, word: string): boolean {
  const files = [
    `${stateFolder}/config.toml`,
    `${workTree}/.codex/config.toml`,
    '/etc/codex/config.toml',
  ]
  return args.some((one) => one.includes(word)) || files.some((path) => text(path)?.includes(word))
}
