import { required } from '../cli/arguments.ts'
import { BrokerCommand } from '../cli/base-command.ts'
import { visible } from '../cli/terminal.ts'
import { BrokerError, isBrokerError } from '../errors.ts'

export default class Disconnect extends BrokerCommand {
  static override summary = 'Forget a connection and its secret'
  static override description =
    'Refused while leases of this connection are live: without the secret they could not be revoked.'
  static override examples = ['broker disconnect pg-staging']
  static override args = {
    name: required({ description: 'as "broker connections" lists it' }),
  }

  async run(): Promise<void> {
    const { args } = await this.parse(Disconnect)
    try {
      await this.request('disconnect', { params: { name: args.name } })
    } catch (error) {
      throw withWayOut(error)
    }
    this.show({ disconnected: args.name }, ({ disconnected }) => [
      `disconnected ${visible(disconnected)}`,
    ])
  }
}

function withWayOut(error: unknown): unknown {
  if (!isBrokerError(error) || error.code !== 'conflict') return error
  return new BrokerError('conflict', error.message, {
    hint: 'end its leases first: broker tokens lists them, broker revoke LEASE ends one',
    details: error.details,
    cause: error,
  })
}
