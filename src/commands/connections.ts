import type { ConnectionList } from '../api/types.ts'
import { BrokerCommand } from '../cli/base-command.ts'
import { connectionRows, NO_CONNECTIONS } from '../cli/connection-text.ts'

export default class Connections extends BrokerCommand {
  static override summary = 'List the stored connections, without their secrets'
  static override examples = ['broker connections', 'broker connections --json']

  async run(): Promise<void> {
    await this.parse(Connections)
    const list = await this.request<ConnectionList>('listConnections')
    if (list.connections.length === 0 && !this.json) return this.nothing(NO_CONNECTIONS)
    this.show(list, (value, look) => connectionRows(value, look, Date.now()))
  }
}
