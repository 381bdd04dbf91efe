import { resolve } from 'node:path'
import { identityVariables } from '../ci/identity-variables.ts'
import { findSubjectToken } from '../ci/subject-token.ts'
import { rootsFrom } from '../cli/server-roots.ts'
import type { Environment } from '../client/caller.ts'
import { type Server, serverAt } from '../client/server.ts'
import { ServerEnd } from '../client/server-end.ts'
import { vaultLockedThere } from '../client/server-failure.ts'
import { upgraderTo } from '../client/server-upgrade.ts'
import { BrokerError, isBrokerError } from '../errors.ts'
import type { Home } from '../lib/home.ts'
import { Secret } from '../lib/secret.ts'
import type { ExecOptions } from './parse.ts'
import { openRelay } from './relay.ts'
import { writeRelayFiles } from './relay-files.ts'
import type { OpenRelay, Remote } from './remote-terms.ts'
import { withShortfall } from './shortfall.ts'

export interface RemotePlace {
  readonly env: Environment
  readonly home: Home
  readonly cwd: string
}

/**
 * `exec` with a server: a bundle of its own, loaded with `--server` and inside a job's task. Finds who we
 * are there. Throws `isolation_unavailable` and `unsupported` for what no server offers, `usage`, and what
 * the CI system gives no identity for.
 */
export async function remoteAt(
  address: string,
  given: ExecOptions,
  { env, home, cwd }: RemotePlace,
): Promise<Remote> {
  // Before anything is asked for: an identity token is good for one lease.
  refuseUnavailable(given, env)
  const caFile = given.caFile ?? (env['BROKER_CA_FILE'] || undefined)
  const caPath = caFile === undefined ? undefined : resolve(cwd, caFile)
  const server = serverAt(address, await rootsFrom(caPath, {}))
  const opener = await openerOf(server, given, env, cwd)
  const upgrade = upgraderTo(server, env)
  return {
    end: new ServerEnd({ server, env, opener, upgrade }),
    options: { ...given, isolation: 'scrub' },
    told: (error) => inWords(server, error),
    flag: ` --server ${server.url}`,
    withheld: identityVariables(env),
    variables: {
      BROKER_SERVER: server.url,
      ...(caPath !== undefined && { BROKER_CA_FILE: caPath }),
    },
    openRelay: async ({ ca, gitHeaders }, lease, handle): Promise<OpenRelay> => {
      const files = writeRelayFiles(home, ca)
      const { port, close } = await openRelay(upgrade, lease, handle)
      const proxy = { url: `http://127.0.0.1:${port}`, ...files, gitHeaders }
      return { proxy, close, direct: (environment) => besides(server, environment) }
    },
  }
}

const ONLY_SCRUB = {
  reason: 'with a server there is scrub alone',
  hint: 'a template for CI jobs asks for no isolation: each job has a machine of its own',
}

function inWords(server: Server, error: unknown): unknown {
  const locked = isBrokerError(error) && error.code === 'vault_locked'
  return locked ? vaultLockedThere(server, error) : withShortfall(error, ONLY_SCRUB)
}

function refuseUnavailable({ isolation, dryRun, pass }: ExecOptions, env: Environment): void {
  if (isolation === 'mask' || isolation === 'confine') {
    throw new BrokerError(
      'isolation_unavailable',
      `isolation "${isolation}" is not available with a server`,
      {
        hint: 'leave --isolation away: a clean environment, and a machine of its own for each job',
      },
    )
  }
  if (dryRun) {
    throw new BrokerError('unsupported', '--dry-run does not go with a server', {
      hint: 'asking would use up the identity of the job; broker template show NAME --server URL tells what a template allows',
    })
  }
  const proof = identityVariables(env).find((name) => pass.includes(name))
  if (proof !== undefined) {
    throw new BrokerError('usage', `--pass cannot let "${proof}" through to a task of a server`, {
      hint: 'with it the command could ask for credentials of its own; do what needs it in a step before',
    })
  }
}

/** Inside a job's task that is its lease, at the server that it came from and at no other. */
async function openerOf(
  server: Server,
  { subjectTokenFile, audience }: ExecOptions,
  env: Environment,
  cwd: string,
): Promise<Secret> {
  const { BROKER_HANDLE: handle, BROKER_SERVER: own } = env
  const inside = handle && own && URL.canParse(own) && serverAt(own).url === server.url
  const asJob = subjectTokenFile !== undefined || audience !== undefined
  if (inside && !asJob) return new Secret(handle)
  const { token } = await findSubjectToken(env, {
    audience: audience ?? server.url,
    ...(subjectTokenFile !== undefined && { tokenFile: resolve(cwd, subjectTokenFile) }),
  })
  return token
}

const DIRECT = ['NO_PROXY', 'no_proxy', 'npm_config_noproxy']

/** The broker's own commands in the task talk to the server, not to the lease's proxy there. */
function besides(
  { url }: Server,
  environment: Readonly<Record<string, string>>,
): Record<string, string> {
  const { hostname } = new URL(url)
  const added = DIRECT.map((name) => [name, `${environment[name] ?? ''},${hostname}`] as const)
  return { ...environment, ...Object.fromEntries(added) }
}
