import { BrokerError } from '../errors.ts'
import { InOrder } from './in-order.ts'

/** The part of keytar we use. Its calls block one of Node's four worker threads until answered. */
export interface Keytar {
  getPassword(service: string, account: string): Promise<string | null>
  setPassword(service: string, account: string, password: string): Promise<void>
  deletePassword(service: string, account: string): Promise<boolean>
}

/** Loaded at run time: it is an optional dependency, and its native part needs libsecret on Linux. */
export async function loadKeytar(): Promise<Keytar> {
  const loaded: { readonly default: Keytar } = await import('keytar')
  return loaded.default
}

/**
 * Calls keytar one at a time, each with a deadline. A call that outlived its deadline cannot be
 * ended; until it is, every other one fails at once, so that a keychain that hangs takes one worker
 * thread and not all of them, with files and name look-ups behind them. Node waits for that thread in
 * `process.exit` too (measured: D-Bus's own 25 s); only a signal ends such a process sooner.
 */
export class PatientKeytar {
  readonly #load: () => Promise<Keytar>
  readonly #deadlineMs: number
  readonly #turns = new InOrder()
  #hanging = false

  constructor(load: () => Promise<Keytar>, deadlineMs: number) {
    this.#load = load
    this.#deadlineMs = deadlineMs
  }

  /** Throws `vault_unavailable` for every failure: keytar's own text says nothing dependable. */
  call<T>(work: (keytar: Keytar) => Promise<T>): Promise<T> {
    return this.#turns.run(async () => {
      if (this.#hanging) throw this.#silent()
      const keytar = await this.#load().catch((error: unknown) => {
        throw notLoaded(error)
      })
      return this.#beforeDeadline((async () => work(keytar))())
    })
  }

  async #beforeDeadline<T>(answer: Promise<T>): Promise<T> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        this.#hanging = true
        reject(this.#silent())
      }, this.#deadlineMs)
    })
    const settled = answer.finally(() => {
      this.#hanging = false
    })
    try {
      return await Promise.race([settled, late])
    } catch (error) {
      throw error instanceof BrokerError ? error : broken(error)
    } finally {
      clearTimeout(timer)
    }
  }

  #silent(): BrokerError {
    return new BrokerError(
      'vault_unavailable',
      `the OS keychain did not answer within ${this.#deadlineMs} ms`,
      { hint: 'if it is asking for its password, answer it and try again; else restart it' },
    )
  }
}

function broken(cause: unknown): BrokerError {
  return new BrokerError('vault_unavailable', 'the OS keychain failed or refused', {
    hint: 'unlock it or start it again; after a restart of it, restart the daemon: broker daemon stop',
    cause,
  })
}

function notLoaded(cause: unknown): BrokerError {
  return new BrokerError('vault_unavailable', 'the OS keychain cannot be reached from here', {
    hint: 'install libsecret (libsecret-1-0 on Debian), and keytar if npm left it out',
    cause,
  })
}
