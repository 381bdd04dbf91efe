import type { ProxyView, TaskPlaceView } from '../../api/types.ts'
import { BrokerError } from '../../errors.ts'
import type { IsolationFacts } from './plan.ts'

export interface WaysOut {
  readonly relays: IsolationFacts['relays']
  /** Names that are to lead to an address inside. */
  readonly names: IsolationFacts['names']
}

const LOOPBACK = '127.0.0.1'

/** Addresses of the loopback that nobody else uses: one for each host. */
const OWN_NETWORK = '127.73.0.'
const MOST_HOSTS = 250

/**
 * The addresses a confined task finds its way out by: the proxy where its variables name it, and each
 * service at the host and port that its variables name. A host by name gets a loopback address of its
 * own. Throws `isolation_unavailable` for a service that is named by an address of the network, which a
 * task without one cannot have.
 */
export function waysOut(place: TaskPlaceView, proxy: ProxyView | null): WaysOut {
  const addresses = new Map<string, string>()
  const relays = place.services.map(({ host, port, socket }) => {
    const address = addressOf(host, addresses)
    return { host: address, port, from: socket }
  })
  if (proxy !== null && place.proxySocket !== null) {
    const { hostname, port } = new URL(proxy.url)
    relays.unshift({ host: hostname, port: Number(port), from: place.proxySocket })
  }
  const names = [...addresses].map(([name, address]) => ({ name, address }))
  return { relays, names }
}

function addressOf(host: string, given: Map<string, string>): string {
  if (host === 'localhost') return LOOPBACK
  if (host === '::1' || /^127(?:\.\d{1,3}){3}$/.test(host)) return host
  if (/^[\d.]+$|:/.test(host)) throw unreachable(host)
  const name = host.toLowerCase().replace(/\.$/, '')
  const known = given.get(name)
  if (known !== undefined) return known
  if (given.size >= MOST_HOSTS) throw unreachable(host)
  const address = `${OWN_NETWORK}${given.size + 1}`
  given.set(name, address)
  return address
}

function unreachable(host: string): BrokerError {
  return new BrokerError('isolation_unavailable', `"${host}" cannot be reached from inside`, {
    hint: 'name the server by its host name in the connection (broker connect), or take --isolation mask',
    details: { host },
  })
}

/**
 * `/etc/hosts` (hosts(5)) with these names leading inside. What the machine says of them goes: some
 * resolvers take every line.
 */
export function hostsText(machine: string, names: WaysOut['names']): string {
  const ours = new Set(names.map(({ name }) => name))
  const kept = machine.split('\n').flatMap((line) => {
    const [address, ...rest] = line.replace(/#.*$/, '').split(/\s+/).filter(Boolean)
    const others = rest.filter((name) => !ours.has(name.toLowerCase()))
    if (others.length === rest.length) return [line]
    return others.length === 0 ? [] : [[address, ...others].join(' ')]
  })
  return [...names.map(({ name, address }) => `${address} ${name}`), ...kept].join('\n')
}
