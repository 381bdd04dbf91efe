// A confined task with a real proxy as its only way out, and the variables that `exec` gives it.
import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { proxiedTask } from '../../src/exec/proxied.ts'
import type { Gate } from '../../src/proxy/gate.ts'
import { openListener } from '../../src/proxy/listener.ts'
import type { Person } from './available.ts'
import { environmentOf, launch, NODE, type Ran } from './run.ts'
import { SITE, startSite } from './tools-site.ts'
import { makeWorld, type World } from './world.ts'

/** Of the loopback inside; nothing listens there outside. */
const PROXY_PORT = 4780

export interface Service {
  readonly port: number
  readonly socket: string
}

export interface ToolPlace {
  readonly world: World
  /** `sh -c`, inside `confine`. */
  run(code: string, env?: Readonly<Record<string, string>>): Promise<Ran>
  close(): Promise<void>
}

export async function openToolPlace(
  person: Person,
  services: readonly Service[],
  furnish: (project: string) => void,
): Promise<ToolPlace> {
  const world = makeWorld(person)
  const site = await startSite(join(world.folder, 'site'))
  const socket = join(world.folder, 'run/proxy.sock')
  const listener = await openListener({
    lease: 'lse_tools',
    gate: toSite(site.port, site.ca),
    at: { path: socket },
    hosts: [SITE],
    notAfter: new Date(Date.now() + 3_600_000),
    resolve: async () => [{ address: '127.0.0.1', family: 4 }],
  })
  const caFile = join(world.lease, 'ca.pem')
  const bundleFile = join(world.lease, 'bundle.pem')
  writeFileSync(caFile, listener.ca)
  writeFileSync(bundleFile, listener.bundle)
  const proxy = { url: `http://127.0.0.1:${PROXY_PORT}`, caFile, bundleFile, gitHeaders: [] }
  // The Node of these tests comes first: the machine's own may be one that obeys no variable.
  const before = environmentOf(world)
  const environment = { ...before, PATH: `${dirname(NODE)}:${before['PATH']}` }
  const task = proxiedTask(proxy, environment, world.project, { java: true })
  const app = join(world.project, 'app')
  mkdirSync(app)
  furnish(world.project)
  if (person === 'nobody') {
    execFileSync('chown', ['-R', '65534:65534', app, world.lease, socket])
  }
  const facts = {
    names: [],
    environment,
    relays: [
      { host: '127.0.0.1', port: PROXY_PORT, from: socket },
      ...services.map(({ port, socket: from }) => ({ host: '127.0.0.1', port, from })),
    ],
    trust: task.trust,
    sockets: [{ from: task.folder, path: task.folder }],
  }
  return {
    world,
    run: (code, env = {}) =>
      launch(world, {
        level: 'confine',
        person,
        path: '/bin/sh',
        args: ['-c', code],
        env: { ...task.environment, ...env },
        facts,
      }),
    close: async () => {
      await listener.close()
      site.close()
      world.remove()
    },
  }
}

/** Everything for the site goes there, and nothing goes anywhere else. */
function toSite(port: number, ca: string): Gate {
  const refusal = { status: 403, fields: [], body: '{"code":"egress_denied"}' }
  return {
    route: async ({ host }) =>
      host === SITE ? { kind: 'intercept' } : { kind: 'refuse', refusal },
    judge: async () => ({
      kind: 'allow',
      upstream: { origin: `https://${SITE}:${port}`, ca, reserved: true },
    }),
    outcome: () => {},
    refused: () => {},
  }
}
