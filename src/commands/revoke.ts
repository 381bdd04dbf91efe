import { Flags } from '@oclif/core'
import type { RevokeResult } from '../api/types.ts'
import { many } from '../cli/arguments.ts'
import { BrokerCommand } from '../cli/base-command.ts'
import { revokeText } from '../cli/revoke-text.ts'
import { ENDED } from '../core/lease.ts'
import { BrokerError } from '../errors.ts'
import { isLeaseId } from '../lib/ids.ts'

const EXIT_STILL_REVOKING = 6

export default class Revoke extends BrokerCommand {
  static override summary = 'End leases now and make their tokens useless'
  static override description =
    'Never asks, not even for --all: it is the emergency stop. Exit code 6 when a provider has not confirmed yet; the daemon goes on trying, see "broker tokens".'
  static override usage = 'revoke LEASE... | --env NAME | --all [--reason TEXT] [--json]'
  static override examples = [
    'broker revoke lse_01k9x2m4v7e8r5t6y7n8p9q0a1',
    'broker revoke --env staging --reason "end of the day"',
    'broker revoke --all',
  ]
  static override args = {
    lease: many({ description: 'ids of leases, as "broker tokens" lists them' }),
  }
  static override flags = {
    env: Flags.string({ helpValue: 'NAME', description: 'every live lease of this environment' }),
    all: Flags.boolean({ description: 'every live lease' }),
    reason: Flags.string({ helpValue: 'TEXT', description: 'why, for the audit log' }),
  }

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Revoke)
    const ids = [...new Set(args.lease ?? [])]
    requireOneWay(ids, flags.env, flags.all)
    const body = {
      ...(ids.length > 0 ? { ids } : {}),
      ...(flags.env === undefined ? {} : { environment: flags.env }),
      ...(flags.all ? { all: true } : {}),
      ...(flags.reason === undefined ? {} : { reason: flags.reason }),
    }
    const result = await this.request<RevokeResult>('revokeLeases', { body }, 'revoking')
    this.show(result, (value, look) => revokeText(value, look, Date.now()))
    if (result.leases.some(({ state }) => !ENDED.includes(state))) {
      process.exitCode = EXIT_STILL_REVOKING
    }
  }
}

function requireOneWay(ids: readonly string[], env: string | undefined, all: boolean): void {
  const ways = [ids.length > 0, env !== undefined, all].filter(Boolean).length
  if (ways !== 1) {
    throw new BrokerError(
      'usage',
      ways === 0
        ? 'nothing says which leases to revoke'
        : 'LEASE, --env and --all exclude each other',
      { hint: 'name leases, or one environment with --env, or use --all' },
    )
  }
  const wrong = ids.find((id) => !isLeaseId(id))
  if (wrong !== undefined) {
    throw new BrokerError('usage', `"${wrong.slice(0, 40)}" is not the id of a lease`, {
      hint: 'broker tokens lists the ids; they look like lse_01k9x2m4v7e8r5t6y7n8p9q0a1',
    })
  }
}
