import { join } from 'node:path'
import { Command, Flags } from '@oclif/core'
import type { RouteName } from '../api/routes.ts'
import { type Client, createClient } from '../client/http.ts'
import type { RequestOptions } from '../client/route-call.ts'
import { isBrokerError } from '../errors.ts'
import { type Home, resolveHome } from '../lib/home.ts'
import { asksForJson } from './argv.ts'
import { type KeySource, takeKeySource } from './operator-key.ts'
import { whileWaiting } from './spinner.ts'
import { jsonText, type Look, lookOf, print, remark } from './terminal.ts'
import { unlocked } from './unlock.ts'

/** What every command shares: a way to the daemon, and the two ways to show a result. */
export abstract class BrokerCommand extends Command {
  static override baseFlags = {
    json: Flags.boolean({ description: 'print JSON, errors too' }),
  }

  /** Taken out of the environment by every command: none of what it starts is to have it. */
  protected readonly keys: KeySource = takeKeySource(process.env)
  protected readonly env: NodeJS.ProcessEnv = process.env
  protected readonly home: Home = homeOf(process.env)
  protected readonly look: Look = lookOf(process.stdout, process.env)
  /** False for commands that must not start what they ask about. */
  protected readonly mayStart: boolean = true
  #client: Client | undefined

  protected get json(): boolean {
    return asksForJson(this.argv)
  }

  /** Where the bundles lie. */
  protected get distFolder(): string {
    return join(this.config.root, 'dist')
  }

  /**
   * Asks the daemon, starting it if need be. `waiting` is shown when it takes a while (null: never).
   * A locked vault is opened with the person's passphrase, and the request made once more.
   */
  protected async request<T>(
    route: RouteName,
    options: RequestOptions = {},
    waiting: string | null = 'waiting for the daemon',
  ): Promise<T> {
    const { home, env, distFolder, mayStart: start } = this
    this.#client ??= createClient({ home, env, distFolder, start })
    const client = this.#client
    const ask = () => client.request<T>(route, options)
    const attempt = () => (waiting === null ? ask() : whileWaiting(waiting, ask))
    try {
      return await attempt()
    } catch (error) {
      if (!isBrokerError(error) || error.code !== 'vault_locked') throw error
      await unlocked(client, error, this.env)
      return attempt()
    }
  }

  /** The one place where a result becomes output. */
  protected show<T>(result: T, text: (result: T, look: Look) => readonly string[]): void {
    print(this.json ? [jsonText(result)] : text(result, this.look))
  }

  /** An empty list: told to a person, while a pipe stays empty. */
  protected nothing(lines: readonly string[]): void {
    if (this.look.terminal) print(lines)
    else remark(lines)
  }

  /** The framework would print; `main` does, in one way for all. */
  protected override async catch(error: Error): Promise<never> {
    throw error
  }
}

/** Inside a task the socket is the one it was given: its own idea of a home may be another. */
function homeOf(env: NodeJS.ProcessEnv): Home {
  const home = resolveHome(env)
  return env['BROKER_SOCKET'] ? { ...home, socket: env['BROKER_SOCKET'] } : home
}
