import { Flags } from '@oclif/core'
import type { ConnectionList, ConnectResult, ProviderList } from '../api/types.ts'
import { optional, required } from '../cli/arguments.ts'
import { BrokerCommand } from '../cli/base-command.ts'
import { connectionSettings } from '../cli/connection-settings.ts'
import { connectText } from '../cli/connection-text.ts'
import { Interrupted } from '../cli/interrupted.ts'
import { nearest } from '../cli/nearest.ts'
import { askYesNo, canAsk } from '../cli/prompts.ts'
import { requireSomebodyToAsk, secretFrom } from '../cli/secret-source.ts'
import { BrokerError } from '../errors.ts'

export default class Connect extends BrokerCommand {
  static override summary = 'Store a long-lived credential in the vault'
  static override description =
    'The credential is read from standard input or a prompt, never from a flag. It is checked with its provider before it is stored, and what it can do is printed: too much is worth a change there. It never leaves the daemon and is never shown again.'
  static override examples = [
    'broker connect railway',
    'printf %s "$ADMIN_URL" | broker connect postgres pg-staging --secret-stdin',
  ]
  static override args = {
    provider: required({ description: 'kind of system, such as postgres' }),
    name: optional({ description: 'name for broker.yaml (default: the provider)' }),
  }
  static override flags = {
    set: Flags.string({
      helpValue: 'key=value',
      description: 'a setting of the provider; may be repeated',
      multiple: true,
      multipleNonGreedy: true,
    }),
    url: Flags.string({
      helpValue: 'URL',
      description: 'send the traffic to this address (self-hosted, tests)',
    }),
    'ca-file': Flags.string({
      helpValue: 'F',
      description: 'certificates to trust for that address',
    }),
    'secret-stdin': Flags.boolean({ description: 'read the secret from standard input' }),
    'no-check': Flags.boolean({ description: 'store without asking the provider' }),
    yes: Flags.boolean({ char: 'y', description: 'replace an existing connection without asking' }),
  }

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Connect)
    const settings = connectionSettings(flags)
    const name = args.name ?? args.provider
    const prompt = await this.secretPrompt(args.provider)
    if (prompt !== null && !flags['secret-stdin']) requireSomebodyToAsk()
    if (!flags.yes) await this.confirmReplacing(name)
    const secret = prompt === null ? null : await secretFrom(prompt, flags['secret-stdin'])
    const body = {
      provider: args.provider,
      name,
      settings,
      check: !flags['no-check'],
      ...(secret === null ? {} : { secret: secret.reveal() }),
    }
    const waiting = `checking with ${args.provider}`
    this.show(await this.request<ConnectResult>('connect', { body }, waiting), connectText)
  }

  private async secretPrompt(provider: string): Promise<string | null> {
    const { providers } = await this.request<ProviderList>('listProviders')
    const found = providers.find(({ name }) => name === provider)
    if (found) return found.secretPrompt
    const names = providers.map(({ name }) => name)
    const near = nearest(provider, names)
    throw new BrokerError('usage', `provider "${provider}" is unknown`, {
      hint: near ? `did you mean "${near}"?` : `known are ${names.join(', ')}`,
    })
  }

  /** Asked only where there is a person; a script that brings a secret means what it says. */
  private async confirmReplacing(name: string): Promise<void> {
    if (!canAsk()) return
    const { connections } = await this.request<ConnectionList>('listConnections')
    const old = connections.find((connection) => connection.name === name)
    if (old === undefined) return
    const live = old.liveLeases === 0 ? '' : `, ${old.liveLeases} live leases`
    const question = `replace connection "${name}" (${old.provider}${live})?`
    if (!(await askYesNo(question))) throw new Interrupted('declined')
  }
}
