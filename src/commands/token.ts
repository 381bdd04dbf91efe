import { Flags } from '@oclif/core'
import type { LeaseView } from '../api/types.ts'
import { type Credentials, FORMATS, type Format } from '../ci/format.ts'
import { jobToken } from '../cli/job-token.ts'
import { localToken } from '../cli/local-token.ts'
import { clock } from '../cli/moments.ts'
import { ServerCommand } from '../cli/server-command.ts'
import { lastingRoots, rootsFrom } from '../cli/server-roots.ts'
import { remark, visible } from '../cli/terminal.ts'
import { handOver } from '../cli/token-output.ts'
import { formatOf, requireGithub, tokenFileOf, ttlOf } from '../cli/token-wish.ts'
import { serverAt } from '../client/server.ts'
import { BrokerError } from '../errors.ts'

export default class Token extends ServerCommand {
  static override summary = 'Print short-lived credentials, for a CI job or by hand'
  static override description =
    'With --server (or BROKER_SERVER) the identity token of this CI job is exchanged for a lease of the server: it is found by itself in GitHub Actions, GitLab, Buildkite and CircleCI, or read from --subject-token-file or BROKER_ID_TOKEN. Without, the local daemon issues it. Nothing revokes it before its time is up but "broker revoke LEASE", so "broker exec", which does, is better wherever one command needs the credentials. They go to standard output as --format says; in "github" to GITHUB_ENV, masked in the log. If they cannot be written out whole, they are revoked and the exit code is 1.'
  static override usage =
    'token --env NAME [--server URL] [--ca-file F] [--subject-token-file F] [--audience A] [--template T] [--ttl 15m] [--reason TEXT] [--format FORMAT] [--json]'
  static override examples = [
    'broker token --env ci --server https://broker.example --format github',
    'eval "$(broker token --env staging --ttl 5m --format shell)"',
    'broker token --env ci --server https://broker.example --subject-token-file - < id.jwt',
  ]
  static override flags = {
    env: Flags.string({ helpValue: 'NAME', description: 'environment to work in', required: true }),
    template: Flags.string({
      helpValue: 'T',
      description: 'template to issue by; needed when several fit',
    }),
    ttl: Flags.string({
      helpValue: '15m',
      description: 'how long it works (default: as its template says, at most 15m)',
    }),
    server: Flags.string({
      helpValue: 'URL',
      description: 'broker serve that exchanges the identity of this job (or BROKER_SERVER)',
    }),
    'subject-token-file': Flags.string({
      helpValue: 'F',
      description: 'file with the identity token, or - for standard input',
    }),
    audience: Flags.string({
      helpValue: 'A',
      description: 'audience to ask an identity token for (default: the URL of the server)',
    }),
    format: Flags.string({
      helpValue: 'FORMAT',
      description: 'how to hand it over: env (the default), shell, json, dotenv, github or gitlab',
      options: [...FORMATS],
    }),
    reason: Flags.string({ helpValue: 'TEXT', description: 'what for, kept in the audit log' }),
  }

  async run(): Promise<void> {
    const { flags } = await this.parse(Token)
    const format = formatOf(flags.format, this.json)
    requireGithub(format, this.env)
    const tokenFile = tokenFileOf(flags['subject-token-file'])
    const { env: environment, template, reason, audience } = flags
    const ttlMs = ttlOf(flags.ttl)
    const wish = {
      environment,
      ...(template !== undefined && { template }),
      ...(ttlMs !== undefined && { ttlMs }),
      ...(reason !== undefined && { reason }),
    }
    const deliver = (credentials: Credentials) => handOver(format, credentials, this.env)
    const address = flags.server ?? (this.env['BROKER_SERVER'] || undefined)
    if (address === undefined) {
      requireNoIdentity(tokenFile, audience)
      const ask: Parameters<typeof localToken>[0] = (route, options) => this.request(route, options)
      return this.told(format, await localToken(ask, wish, deliver))
    }
    const server = serverAt(address, await rootsFrom(flags['ca-file'], this.env))
    const roots = rootsFor(format, flags['ca-file'], this.env)
    const terms = { env: this.env, format, wish, audience, tokenFile, roots }
    const { lease } = await jobToken(server, terms, deliver)
    this.told(format, lease, server.url)
  }

  private told(format: Format, { id, environment, expiresAt }: LeaseView, url?: string): void {
    if (format === 'json') return
    const until = visible(clock(expiresAt, Date.now()))
    const where = url === undefined ? '' : ` --server ${url}`
    remark([
      `broker: lease ${visible(id)} · ${visible(environment)} · until ${until}`,
      `broker: broker revoke ${visible(id)}${where} ends it earlier`,
    ])
  }
}

/** By them later commands believe the server. A report of GitLab goes to jobs that may have another machine. */
function rootsFor(format: Format, caFile: string | undefined, env: NodeJS.ProcessEnv) {
  return format === 'gitlab' ? undefined : lastingRoots(caFile, env)
}

function requireNoIdentity(tokenFile: string | undefined, audience: string | undefined): void {
  if (tokenFile === undefined && audience === undefined) return
  const flag = tokenFile === undefined ? '--audience' : '--subject-token-file'
  throw new BrokerError('usage', `${flag} goes with a server only`, {
    hint: 'add --server https://HOST:PORT or set BROKER_SERVER; the local daemon knows you by its key',
  })
}
