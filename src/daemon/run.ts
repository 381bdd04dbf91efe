import { randomBytes } from 'node:crypto'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Health } from '../api/types.ts'
import { deriveChainKeys, deriveFingerprintKey, fingerprintOf } from '../audit/keys.ts'
import type { Context, Log } from '../broker/context.ts'
import {
  catchUpWithClock,
  endLostProxies,
  endLostQuestions,
  endLostSessions,
  recover,
  sweep,
} from '../broker/sweep.ts'
import { TIMING } from '../core/deadlines.ts'
import { ensurePrivateFolder } from '../lib/home.ts'
import { newInstallId } from '../lib/ids.ts'
import { createRegistry } from '../providers/registry.ts'
import { openSqlite } from '../store/sqlite.ts'
import type { Store } from '../store/store.ts'
import { authenticate } from './authenticate.ts'
import { buildContext } from './build-context.ts'
import { CheckpointFile } from './checkpoint.ts'
import type { Config } from './config.ts'
import { documents, preloadDocuments } from './documents.ts'
import { listen, unlisten } from './endpoint.ts'
import { takeLock } from './lock.ts'
import { createLog, writeLogLine } from './log.ts'
import { loadOperatorKey } from './operator-key.ts'
import { PolicyCell } from './policy-cell.ts'
import { Proxies } from './proxies.ts'
import { addApprovalRoutes } from './routes/approvals.ts'
import { addAuditRoutes } from './routes/audit.ts'
import { addConnectionRoutes } from './routes/connections.ts'
import { addDaemonRoutes } from './routes/daemon.ts'
import { addLeaseRoutes } from './routes/leases.ts'
import { addOauthRoutes } from './routes/oauth.ts'
import { addTemplateRoutes } from './routes/templates.ts'
import type { IssuersAsked, Remote } from './serve/remote.ts'
import { createServer, type Server } from './server.ts'
import { Sessions } from './sessions.ts'
import { TaskFolders } from './tasks/folders.ts'
import { TaskPlaces } from './tasks/places.ts'
import { TaskServer } from './tasks/task-server.ts'
import { Ticker } from './ticker.ts'

declare const __BROKER_VERSION__: string

/** After the start-up's rush. */
const PRELOAD_MS = 5000

/**
 * For revocations under way when we stop. What an upstream has not answered by then is recorded as
 * `revoking`, and the next daemon takes it up; one that waits to replace us must not wait longer.
 */
const LAST_TRIES_MS = 2000

/** After a restart, for sessions that come back over a network. */
const REMOTE_GRACE_MS = 10_000

/** Another daemon serves this home. */
export const ALREADY_RUNNING = 'already running'

export interface RunTerms {
  readonly stopSignals: readonly NodeJS.Signals[]
  readonly recorder: URL
  readonly log?: Log
  /** `broker serve`: opens the port, and is told when it is served. */
  readonly remote?: {
    readonly open: () => Promise<Remote>
    readonly onServing: (served: Served) => void
  }
}

/** What a person who starts a server wants to know. */
export interface Served {
  readonly url: string
  readonly templates: number
  readonly issuers: IssuersAsked
}

/**
 * Runs the daemon until it is told to stop (a signal, or the stop route). The composition root:
 * here, and nowhere else, is decided what is real. Resolves to `already running` at once when
 * another one holds this home's lock.
 */
export async function runDaemon(
  config: Config,
  terms: RunTerms,
): Promise<typeof ALREADY_RUNNING | 'stopped'> {
  const { home } = config
  for (const folder of [home.config, home.state, home.run]) ensurePrivateFolder(folder)
  // Before anything that costs time: of twenty that race to start, nineteen leave here.
  const lock = takeLock(home.lockFile)
  if (!lock) return ALREADY_RUNNING
  let remote: Remote | undefined
  try {
    remote = await terms.remote?.open()
    await serve(config, terms, remote)
  } finally {
    await remote?.close()
    lock.release()
  }
  return 'stopped'
}

async function serve(config: Config, terms: RunTerms, remote: Remote | undefined): Promise<void> {
  const { home } = config
  const now = Date.now
  const log = terms.log ?? createLog(writeLogLine, now)
  const operatorKey = loadOperatorKey(home.operatorKey, randomBytes)
  const keys = deriveChainKeys(operatorKey.reveal())
  const store = await openSqlite({
    path: home.database,
    keys,
    now,
    recorder: terms.recorder,
  })
  const installId = await loadInstallId(store)
  const registry = createRegistry()
  const policy = new PolicyCell(store, remote?.trustTerms)
  const folders = new TaskFolders(home.run)
  const proxies = new Proxies(folders, log)
  let taskServer: TaskServer | undefined
  const places = new TaskPlaces({
    folders,
    log,
    openSocket: (lease, path) => {
      taskServer ??= new TaskServer(context, reading)
      return taskServer.open(lease, path)
    },
  })
  const fingerprintKey = deriveFingerprintKey(operatorKey.reveal())
  let notify: Context['onEnding'] = () => {}
  const { context, reading } = await buildContext(config, {
    store,
    installId,
    registry,
    policy,
    log,
    onEnding: (lease) => {
      // First of all: nothing that is under way may outlive the decision to end it.
      proxies.ending(lease)
      remote?.ending(lease)
      places.ending(lease)
      notify(lease)
    },
    openProxy: (order) => proxies.open(order),
    openPlace: (order) => places.open(order),
    fingerprint: (credential) => fingerprintOf(fingerprintKey, credential),
    ...(remote && {
      publicUrl: remote.publicUrl,
      verifySubject: async (token) => remote.verify(token, (await policy.current()).trust.issuers),
    }),
  })
  const checkpoint = new CheckpointFile(join(home.state, 'audit.head'))
  const stop = Promise.withResolvers<string>()
  let status: Health['status'] = 'starting'
  const health = (): Health => ({
    status,
    version: __BROKER_VERSION__,
    pid: process.pid,
    socket: home.socket,
    home: home.root,
  })

  const authentication = {
    operatorKey,
    operator: { kind: 'local', id: userInfo().username },
  } as const
  const sharedRoutes = (server: Server) => {
    addLeaseRoutes(server, context, () => home.socket)
    addTemplateRoutes(server, context, documents, join(home.config, 'broker.yaml'), () => {
      policy.forget()
      // A provider defined there may have other hosts now.
      context.connections.version++
      remote?.warm(context)
    })
    addApprovalRoutes(server, context)
    addAuditRoutes(server, context, keys, checkpoint)
  }
  const server = createServer(context, authentication)
  addDaemonRoutes(server, context, health, () => stop.resolve('asked to stop'))
  sharedRoutes(server)
  addConnectionRoutes(server, context)
  addOauthRoutes(server, context, reading)
  const sessions = new Sessions(context)
  sessions.serve(
    server.app.server,
    ({ headers }) => authenticate(context, authentication, headers.authorization),
    { version: __BROKER_VERSION__, pid: process.pid, socket: home.socket, remote: null },
  )
  notify = (lease) => sessions.notify(lease)

  const interrupted = await takeUp(context)
  await places
    .restore((id) => store.read.lease(id))
    .catch((error: unknown) => log.error('what tasks find us by could not be restored', error))
  await noteStart(context, interrupted)
  await listen(server.app, home)
  if (remote) process.on('SIGHUP', () => remote.renewCertificate())
  const lent = { context, authentication, reading, sessions, proxies, health }
  await remote?.serve({ ...lent, addRoutes: sharedRoutes })
  status = 'ok'
  log.info('serving', { version: __BROKER_VERSION__, pid: process.pid, interrupted })
  if (remote) tellServing(remote, context, terms)

  const ticker = new Ticker(
    context,
    () => performance.now(),
    async () => {
      checkpoint.save(await store.read.head())
    },
  )
  ticker.start()
  const grace = setTimeout(
    () => {
      endLostSessions(context).catch((error: unknown) => log.error('lost sessions', error))
    },
    remote ? REMOTE_GRACE_MS : TIMING.graceMs,
  )

  const preload = setTimeout(() => {
    loadEverything(context, proxies).catch((error: unknown) => log.error('preloading', error))
  }, PRELOAD_MS)

  const why = await untilStopped(stop.promise, terms.stopSignals)
  status = 'stopping'
  log.info('stopping', { why })
  clearTimeout(grace)
  clearTimeout(preload)
  unlisten(home)
  await remote?.drain()
  await ticker.stop()
  sessions.close()
  places.close()
  // No request leaves without a daemon that judges it; the next run ends the leases.
  await proxies.close()
  await server.app.close()
  await Promise.race([Promise.allSettled([...context.revoking.values()]), sleep(LAST_TRIES_MS)])
  await context.store
    .write((writer) => writer.append({ type: 'daemon.stopped', lease: null, data: { why } }))
    .catch((error: unknown) => log.error('the stop could not be recorded', error))
  checkpoint.save(await store.read.head())
  await registry.close()
  await store.close()
  log.info('stopped')
}

/**
 * Before serving: what a crash interrupted, and what ended while nobody was there. Returns how many
 * leases were interrupted. A full disk must not keep a daemon from starting, since it is there to
 * end leases: what could not be recorded now is due at the next ticks.
 */
async function takeUp(context: Context): Promise<number> {
  try {
    await catchUpWithClock(context)
    await endLostProxies(context)
    const interrupted = await recover(context)
    await sweep(context)
    await endLostQuestions(context)
    return interrupted
  } catch (error) {
    context.log.error('what was left could not be taken up at once', error)
    return 0
  }
}

/**
 * What is loaded on first use for a quick start is loaded all the same before long: an update of
 * the package replaces the files under a running daemon, which must still be able to revoke.
 */
async function loadEverything(context: Context, proxies: Proxies): Promise<void> {
  for (const name of await context.providerNames()) await context.provider(name)
  await proxies.preload()
  await Promise.all([import('../identity/access-token.ts'), preloadDocuments()])
}

/** Our mark on everything made elsewhere. Written before anything is. */
async function loadInstallId(store: Store): Promise<string> {
  const known = await store.read.setting('install_id')
  if (known) return known
  const made = newInstallId(randomBytes)
  await store.write((writer) => writer.saveSetting('install_id', made))
  return made
}

/** A full disk must not keep a daemon from ending leases: then it starts unrecorded. */
async function noteStart(context: Context, interrupted: number): Promise<void> {
  await context.store
    .write((writer) =>
      writer.append({
        type: 'daemon.started',
        lease: null,
        data: { version: __BROKER_VERSION__, interrupted },
      }),
    )
    .catch((error: unknown) => context.log.error('the start could not be recorded', error))
}

/**
 * To the person who started a server. Asking issuers may take a while: nothing waits for it, and it never
 * rejects.
 */
async function tellServing(remote: Remote, context: Context, terms: RunTerms): Promise<void> {
  try {
    const issuers = await remote.warm(context)
    const { templates } = (await context.policy()).configuration
    const { publicUrl: url } = remote
    terms.remote?.onServing({ url, templates: Object.keys(templates).length, issuers })
  } catch (error) {
    context.log.error('what is served could not be told', error)
  }
}

/** A second signal changes nothing: what ends is ending as fast as it can without losing anything. */
function untilStopped(asked: Promise<string>, signals: readonly NodeJS.Signals[]): Promise<string> {
  return new Promise((resolve) => {
    asked.then(resolve)
    for (const signal of signals) {
      process.on(signal, () => resolve(signal))
    }
  })
}
