import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { OpenProxy, ProxyOrder } from '../broker/authorize/task.ts'
import type { Log } from '../broker/context.ts'
import type { Lease } from '../core/lease.ts'
import { ensurePrivateFolder } from '../lib/home.ts'
import type { OwnPorts } from '../proxy/addresses.ts'
import type { Listener } from '../proxy/listener.ts'

type Engine = typeof import('../proxy/listener.ts')

interface Open {
  readonly listener: Listener
  readonly order: ProxyOrder
}

/**
 * The listeners of this run, one for each lease that has a proxy. A CA's key is in this process
 * alone, so what is here ends with it: the next run ends those leases instead.
 */
export class Proxies {
  readonly #folder: string
  readonly #log: Log
  readonly #open = new Map<string, Open>()
  readonly #closing = new Set<Promise<void>>()
  #engine: Promise<Engine> | null = null
  #ports: OwnPorts | null = null

  /** `run` is the broker's runtime folder. What an earlier run left there is removed. */
  constructor(run: string, log: Log) {
    this.#folder = join(run, 'tasks')
    this.#log = log
    rmSync(this.#folder, { recursive: true, force: true })
  }

  async open(order: ProxyOrder): Promise<OpenProxy> {
    const { openListener } = await this.preload()
    const { OwnPorts } = await import('../proxy/addresses.ts')
    this.#ports ??= new OwnPorts()
    // The CA is good for any name (no `hosts`): a connection stored later adds hosts to those that are
    // judged, and the refusal of a wrong server name has to be readable inside TLS.
    const listener = await openListener({
      lease: order.lease,
      gate: order.gate,
      at: 'loopback',
      notAfter: new Date(order.notAfter),
      ownPorts: this.#ports,
      limits: { judgeMs: order.judgeMs },
    })
    this.#open.set(order.lease, { listener, order })
    try {
      return { url: `http://127.0.0.1:${listener.port}`, ...this.#write(order.lease, listener) }
    } catch (error) {
      this.#close(order.lease)
      throw error
    }
  }

  /** The engine is large: loaded with the first proxied lease, or when there is time. */
  preload(): Promise<Engine> {
    this.#engine ??= loadEngine()
    return this.#engine
  }

  has(lease: string): boolean {
    return this.#open.has(lease)
  }

  /** Cuts everything of a lease that begins to end. Returns at once; may be repeated. */
  ending(lease: Pick<Lease, 'id'>): void {
    this.#close(lease.id)
  }

  /** Cuts everything, and writes down what was still to be written. */
  async close(): Promise<void> {
    for (const lease of [...this.#open.keys()]) this.#close(lease)
    await Promise.all(this.#closing)
  }

  #close(lease: string): void {
    const open = this.#open.get(lease)
    if (!open) return
    this.#open.delete(lease)
    const closing = open.listener
      .close()
      .then(() => open.order.over())
      .catch((error: unknown) => this.#log.error('a proxy did not close cleanly', error))
      .finally(() => {
        rmSync(join(this.#folder, lease), { recursive: true, force: true })
        this.#closing.delete(closing)
      })
    this.#closing.add(closing)
  }

  /** Certificates only: nothing here is secret, but nobody else may replace it either. */
  #write(lease: string, listener: Listener): Pick<OpenProxy, 'caFile' | 'bundleFile'> {
    const folder = join(this.#folder, lease)
    ensurePrivateFolder(this.#folder)
    mkdirSync(folder, { mode: 0o700 })
    const caFile = join(folder, 'ca.pem')
    const bundleFile = join(folder, 'bundle.pem')
    writeFileSync(caFile, listener.ca, { mode: 0o600, flag: 'wx' })
    writeFileSync(bundleFile, listener.bundle, { mode: 0o600, flag: 'wx' })
    return { caFile, bundleFile }
  }
}

/** The roots that stand in every bundle take a while to read, so they are read along with it. */
async function loadEngine(): Promise<Engine> {
  const { publicRoots } = await import('../proxy/roots.ts')
  publicRoots()
  return import('../proxy/listener.ts')
}
