import { Flags, type Interfaces } from '@oclif/core'
import type { RouteName } from '../api/routes.ts'
import type { RequestOptions } from '../client/route-call.ts'
import { createServerClient, type ServerClient } from '../client/server-client.ts'
import { BrokerCommand } from './base-command.ts'
import { type Remote, remoteOf, type ServerFlags } from './remote.ts'
import { whileWaiting } from './spinner.ts'

/** A command that is carried out at a server if `--server` says so, and inside a job at the job's. */
export abstract class ServerCommand extends BrokerCommand {
  static override baseFlags = {
    ...BrokerCommand.baseFlags,
    server: Flags.string({
      helpValue: 'URL',
      description:
        'act at this broker serve instead of the local daemon; its operator key comes from BROKER_OPERATOR_KEY_FILE, BROKER_OPERATOR_KEY or a question',
    }),
    'ca-file': Flags.string({
      helpValue: 'F',
      description: 'root certificates (PEM) to believe that server by (or BROKER_CA_FILE)',
    }),
  }

  #flags: ServerFlags | undefined
  #remote: Promise<Remote | undefined> | undefined
  #server: ServerClient | undefined

  /** Where this command acts; undefined: at the local daemon. After `parse`. */
  protected remote(): Promise<Remote | undefined> {
    if (this.#flags === undefined) throw new TypeError('flags are not parsed yet')
    this.#remote ??= remoteOf(this.#flags, this.env, this.keys)
    return this.#remote
  }

  protected override async parse<
    F extends Interfaces.OutputFlags<Interfaces.FlagInput>,
    B extends Interfaces.OutputFlags<Interfaces.FlagInput>,
    A extends Interfaces.OutputArgs<Interfaces.ArgInput>,
  >(
    options?: Interfaces.Input<F, B, A>,
    argv?: string[],
  ): Promise<Interfaces.ParserOutput<F, B, A>> {
    const parsed = await super.parse(options, argv)
    this.#flags = parsed.flags as ServerFlags
    return parsed
  }

  protected override async request<T>(
    route: RouteName,
    options: RequestOptions = {},
    waiting: string | null = 'waiting for the broker',
  ): Promise<T> {
    const remote = await this.remote()
    if (remote === undefined) return super.request<T>(route, options, waiting)
    this.#server ??= createServerClient({ ...remote, env: this.env })
    const server = this.#server
    const shown = <R>(work: () => Promise<R>) =>
      waiting === null ? work() : whileWaiting(waiting, work)
    await shown(() => server.meet())
    // A question about the key is not to be drawn over.
    await server.identify(route)
    return shown(() => server.request<T>(route, options))
  }
}
