import { Flags } from '@oclif/core'
import type { RevokeResult } from '../api/types.ts'
import { revokeByHandle } from '../ci/lease-calls.ts'
import { many } from '../cli/arguments.ts'
import type { Remote } from '../cli/remote.ts'
import { revokeText } from '../cli/revoke-text.ts'
import { ServerCommand } from '../cli/server-command.ts'
import { whileWaiting } from '../cli/spinner.ts'
import { paint, remark } from '../cli/terminal.ts'
import { ENDED } from '../core/lease.ts'
import { BrokerError, isBrokerError } from '../errors.ts'
import { isLeaseId } from '../lib/ids.ts'

const EXIT_STILL_REVOKING = 6

export default class Revoke extends ServerCommand {
  static override summary = 'End leases now and make their tokens useless'
  static override description =
    'Never asks, not even for --all: it is the emergency stop. Exit code 6 when a provider has not confirmed yet; the daemon goes on trying, see "broker tokens". A CI job ends its own lease at its server by BROKER_HANDLE, without any other key.'
  static override usage =
    'revoke LEASE... | --env NAME | --all [--reason TEXT] [--server URL] [--ca-file F] [--json]'
  static override examples = [
    'broker revoke lse_01k9x2m4v7e8r5t6y7n8p9q0a1',
    'broker revoke --env staging --reason "end of the day"',
    'broker revoke --all',
    'broker revoke "$BROKER_LEASE" --server https://broker.example',
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
    const remote = await this.remote()
    if (remote?.inTask) return this.ownLease(remote, ids, flags.reason)
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

  /** What a job may do: give back what it got. The handle is the proof that it is its own. */
  private async ownLease(remote: Remote, ids: readonly string[], reason?: string): Promise<void> {
    const [id] = ids
    if (id === undefined || ids.length > 1) throw onlyItsOwn()
    await this.request('showLease', { params: { id } }).catch((error: unknown) => {
      if (!endedAlready(error) || this.env['BROKER_LEASE'] !== id) throw notItsOwn(error)
    })
    if (reason !== undefined) remark(['broker: a job gives no reason, the audit log names its run'])
    const state = await whileWaiting('revoking', async () =>
      revokeByHandle(remote.server, await remote.bearer(), this.env),
    )
    const over = state === 'revoked'
    this.show({ leases: [{ id, state }] }, (_, look) => [
      `${id} ${paint(look, over ? 'good' : 'bad', over ? state : `still ${state}`)}`,
    ])
    if (!over) process.exitCode = EXIT_STILL_REVOKING
  }
}

function endedAlready(error: unknown): boolean {
  return isBrokerError(error) && error.code === 'lease_ended'
}

function notItsOwn(error: unknown): unknown {
  const theirs = isBrokerError(error) && ['not_found', 'denied'].includes(error.code)
  return theirs ? onlyItsOwn() : error
}

function onlyItsOwn(): BrokerError {
  return new BrokerError('denied', 'a job can end its own lease only', {
    hint: 'broker revoke "$BROKER_LEASE"; for others name the operator key with BROKER_OPERATOR_KEY_FILE',
  })
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
