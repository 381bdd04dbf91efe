import { ServerCommand } from '../cli/server-command.ts'
import { table } from '../cli/table.ts'
import type { Look } from '../cli/terminal.ts'

interface Jwks {
  readonly keys: readonly Readonly<Record<string, unknown>>[]
}

export default class JwksCommand extends ServerCommand {
  static override summary = 'Show the public keys that verify tokens of this broker'
  static override examples = ['broker jwks', 'broker jwks --json > jwks.json']

  async run(): Promise<void> {
    await this.parse(JwksCommand)
    const jwks = await this.request<Jwks>('jwks')
    if (jwks.keys.length === 0 && !this.json) {
      return this.nothing(['no keys yet', 'the first jwt credential makes one'])
    }
    this.show(jwks, keyRows)
  }
}

function keyRows({ keys }: Jwks, look: Look): string[] {
  const text = (value: unknown) => ({ text: typeof value === 'string' ? value : '-' })
  return table(
    [{ title: 'KEY' }, { title: 'ALGORITHM' }, { title: 'CURVE' }],
    keys.map((key) => [text(key['kid']), text(key['alg']), text(key['crv'])]),
    look,
  )
}
