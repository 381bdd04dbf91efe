import { LeaseGate } from '../../src/broker/authorize/gate.ts'
import { passingOf } from '../../src/broker/authorize/passing.ts'
import type { Task, TaskGrant } from '../../src/broker/authorize/task.ts'
import { connect } from '../../src/broker/connect.ts'
import type { Context } from '../../src/broker/context.ts'
import type { Classified, Operation, RequestFacts, Verdict } from '../../src/core/guard.ts'
import type { Risk } from '../../src/core/risk.ts'
import { Secret } from '../../src/lib/secret.ts'
import type { Guard, Location } from '../../src/providers/guard.ts'
import type { Provider } from '../../src/providers/provider.ts'
import type { JudgedRequest } from '../../src/proxy/gate.ts'
import { createLedger, ledgerProvider } from '../fakes/ledger-provider.ts'
import { GRANT, leaseId, leaseOf, placeLease } from '../fixtures/approvals.ts'
import { createContext, type TestContext } from '../fixtures/context.ts'

export const REAL = 'real-key-9c41'
export const MINTED = 'minted-key-77aa'
export const PHANTOM = 'phantom-2b1d'
export const HOST = 'api.things.example'

const RISKS: Readonly<Record<string, Risk>> = { look: 'read', put: 'write', burn: 'destructive' }

export const HERE: Location = {
  name: 'thing',
  environments: [{ id: 'env-1', name: 'staging' }],
  project: { id: 'prj-1', name: 'shop' },
  notes: [],
}

/**
 * An API whose path names the operation and the thing: `/burn/t1`. Where things lie, the test says;
 * a guard in a test's own hands, so that it can be slow, wrong or broken.
 */
export function thingsGuard(changes: Partial<Guard> = {}): Guard {
  return {
    hosts: [HOST],
    carriers: [{ header: 'x-key', scheme: 'raw' }],
    inspect: () => null,
    classify: classifyThing,
    place: () => ({ environment: 'env-1', project: 'prj-1' }),
    locate: async () => HERE,
    inject: ({ secret }) => [['x-key', secret]],
    upstream: () => ({ origin: `https://${HOST}`, ca: null, chosen: false }),
    ...changes,
  }
}

export function operation(name: string, id: string): Operation {
  const resource = { kind: 'thing', id }
  return {
    name,
    risk: RISKS[name] ?? 'admin',
    resources: [resource],
    environments: [{ from: 'lookup', resource, match: 'environment' }],
  }
}

export function classified(changes: Partial<Classified>): Classified {
  return {
    outcome: 'classified',
    operations: [],
    needs: [],
    forward: { kind: 'stream' },
    ...changes,
  }
}

function classifyThing({ path }: RequestFacts): Verdict {
  const [, name = '', id = ''] = path.split('/')
  return classified({ operations: [operation(name, id)] })
}

export interface Yard {
  readonly context: TestContext
  readonly gate: LeaseGate
  readonly task: Task
  readonly provider: Provider
}

/** One gate over a real database, for a lease that is active there. */
export async function openYard(
  guard: Guard = thingsGuard(),
  changes: Partial<Task> & { readonly grant?: Partial<TaskGrant> } = {},
  overrides: Partial<Context> = {},
): Promise<Yard> {
  const provider = ledgerProvider(createLedger(), {
    name: 'things',
    mode: 'proxied',
    secretPrompt: 'key',
    origin: ({ settings }) => String(settings['url'] ?? `https://${HOST}`),
    guard,
  })
  const secrets = new Map<string, Secret>()
  const context = await createContext(
    provider,
    {},
    {
      vault: {
        status: async () => ({ kind: 'file', where: '', sealedBy: 'passphrase', locked: false }),
        get: async (name) => secrets.get(name) ?? null,
        set: async (name, secret) => void secrets.set(name, secret),
        delete: async (name) => secrets.delete(name),
        unlock: async () => {},
      },
      ...overrides,
    },
  )
  await store(context, 'things-main')
  await placeLease(context.store, leaseOf(1, { grants: [{ ...GRANT, name: 'main' }] }))
  const { grant, ...rest } = changes
  const rule = { allow: ['look', 'put', 'burn'], approve: [], deny: [], ...grant?.rule }
  const own: TaskGrant = {
    ...{ name: 'main', provider, guard, connection: 'things-main', target: {} },
    place: { environment: 'env-1', project: 'prj-1' },
    rule,
    passing: passingOf(rule, provider.catalogue, rest.isProtected ?? false),
    proxied: { phantom: new Secret(PHANTOM), minted: new Secret(MINTED) },
    variables: ['THINGS_KEY'],
    ...grant,
  }
  const task: Task = {
    ...{ lease: leaseId(1), environment: 'staging', isProtected: false, reason: null },
    template: { name: 'dev', egress: 'open', confirm: 'typed', approvalWaitMs: 0 },
    principal: { kind: 'local', id: 'alice' },
    actor: { command: 'agent', pid: 1 },
    expiresAt: context.clock.now + 1_800_000,
    judgeMs: 60_000,
    grants: [own],
    renamed: new Set(),
    ...rest,
  }
  return { context, gate: new LeaseGate(context, task), task, provider }
}

export async function store(context: Context, name: string, url?: string): Promise<void> {
  await connect(context, {
    ...{ provider: 'things', name, secret: new Secret(REAL), check: false },
    settings: url === undefined ? {} : { url },
  })
}

let ids = 0

export function request(path: string, changes: Partial<JudgedRequest> = {}): JudgedRequest {
  return {
    ...{ id: ++ids, protocol: 'http/1.1', route: 'intercept', scheme: 'https', host: HOST },
    ...{ port: 443, method: 'POST', target: path, path, query: undefined, length: 0 },
    fields: [['x-key', PHANTOM]],
    upgrade: undefined,
    ...changes,
  }
}

export const NEVER = new AbortController().signal

/** What was written down of a lease's requests. */
export async function entriesOf({ context, task }: Yard) {
  const found = await context.store.read.entries({ lease: task.lease, after: 0, limit: 100 })
  return found.map(({ type, data }) => ({ type, data: JSON.parse(data) }))
}
