import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { CONFINED_PROXY_PORT } from '../api/confined.ts'
import type { OpenProxy, ProxyOrder } from '../broker/authorize/task.ts'
import type { Log } from '../broker/context.ts'
import type { Lease } from '../core/lease.ts'
import { certificatesIn, javaTrustStore, trustStoreBeside } from '../lib/java-trust-store.ts'
import type { OwnPorts } from '../proxy/addresses.ts'
import type { Listener } from '../proxy/listener.ts'
import { beginYoung, keepCode } from './memory.ts'
import { SpareAuthority } from './spare-authority.ts'
import {
  assertSocketPath,
  type HeldFolder,
  proxySocketIn,
  type TaskFolders,
} from './tasks/folders.ts'

type Engine = typeof import('../proxy/listener.ts')

interface Open {
  readonly listener: Listener
  readonly order: ProxyOrder
  readonly folder: HeldFolder
}

/**
 * The listeners of this run, one for each lease that has a proxy. A CA's key is in this process
 * alone, so what is here ends with it: the next run ends those leases instead.
 */
export class Proxies {
  readonly #folders: TaskFolders
  readonly #log: Log
  readonly #open = new Map<string, Open>()
  readonly #closing = new Set<Promise<void>>()
  #engine: Promise<Engine> | null = null
  #ports: OwnPorts | null = null
  readonly #spare: SpareAuthority

  constructor(folders: TaskFolders, log: Log) {
    this.#folders = folders
    this.#log = log
    this.#spare = new SpareAuthority(createAuthority, Date.now, log)
  }

  async open(order: ProxyOrder): Promise<OpenProxy> {
    const { openListener } = await this.preload()
    const { OwnPorts } = await import('../proxy/addresses.ts')
    this.#ports ??= new OwnPorts()
    const folder = this.#folders.hold(order.lease)
    try {
      const listener = await this.#listen(order, folder.path, openListener)
      this.#open.set(order.lease, { listener, order, folder })
      const port = order.confined ? CONFINED_PROXY_PORT : listener.port
      return { url: `http://127.0.0.1:${port}`, ...writeCertificates(folder.path, listener) }
    } catch (error) {
      if (this.#open.has(order.lease)) this.#close(order.lease)
      else folder.release()
      throw error
    }
  }

  async #listen(
    order: ProxyOrder,
    folder: string,
    openListener: Engine['openListener'],
  ): Promise<Listener> {
    const path = proxySocketIn(folder)
    const authority = this.#spare.take(order.notAfter)
    if (order.confined) assertSocketPath(path)
    // The CA is good for any name (no `hosts`): a connection stored later adds hosts to those that are
    // judged, and the refusal of a wrong server name has to be readable inside TLS.
    return openListener({
      lease: order.lease,
      gate: order.gate,
      at: order.confined ? { path } : 'loopback',
      notAfter: new Date(order.notAfter),
      privateNetworks: order.privateNetworks,
      ...(this.#ports && { ownPorts: this.#ports }),
      ...(authority && { authority }),
      limits: { judgeMs: order.judgeMs },
    })
  }

  /** The engine is large: loaded with the first proxied lease, or when there is time. */
  preload(): Promise<Engine> {
    this.#engine ??= loadEngine()
    this.#spare.refill()
    return this.#engine
  }

  has(lease: string): boolean {
    return this.#open.has(lease)
  }

  /** Where on the loopback it listens; undefined when it has none, or none there. */
  portOf(lease: string): number | undefined {
    return this.#open.get(lease)?.listener.port || undefined
  }

  /** Its CA alone, PEM. */
  caOf(lease: string): string | undefined {
    return this.#open.get(lease)?.listener.ca
  }

  /** Cuts everything of a lease that begins to end. Returns at once; may be repeated. */
  ending(lease: Pick<Lease, 'id'>): void {
    this.#close(lease.id)
  }

  /** Cuts everything, and writes down what was still to be written. */
  async close(): Promise<void> {
    this.#spare.close()
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
        open.folder.release()
        this.#closing.delete(closing)
      })
    this.#closing.add(closing)
  }
}

/** Certificates only: nothing here is secret, but nobody else may replace it either. */
function writeCertificates(
  folder: string,
  listener: Listener,
): Pick<OpenProxy, 'caFile' | 'bundleFile'> {
  const caFile = join(folder, 'ca.pem')
  const bundleFile = join(folder, 'bundle.pem')
  writeFileSync(caFile, listener.ca, { mode: 0o600, flag: 'wx' })
  writeFileSync(bundleFile, listener.bundle, { mode: 0o600, flag: 'wx' })
  const store = javaTrustStore(certificatesIn(listener.bundle))
  writeFileSync(trustStoreBeside(bundleFile), store, { mode: 0o600, flag: 'wx' })
  return { caFile, bundleFile }
}

/** The roots that stand in every bundle take a while to read, so they are read along with it. */
async function loadEngine(): Promise<Engine> {
  const { publicRoots } = await import('../proxy/roots.ts')
  publicRoots()
  const engine = await import('../proxy/listener.ts')
  beginYoung()
  keepCode()
  return engine
}

async function createAuthority(name: string, now: Date, notAfter: Date) {
  const { CertificateAuthority } = await import('../proxy/certificates.ts')
  return CertificateAuthority.create(name, now, notAfter)
}
