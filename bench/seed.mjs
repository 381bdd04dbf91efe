// Fills a broker's home with live leases: the newest through the store's own code with the audit entries
// a real issue would have left, the others as copies of one of those rows, whatever the schema is.
import { randomBytes } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { deriveChainKeys } from '../src/audit/keys.ts'
import { requestFacts } from '../src/broker/record.ts'
import { loadOperatorKey } from '../src/daemon/operator-key.ts'
import { digest } from '../src/lib/equal.ts'
import { newBearer, newLeaseId } from '../src/lib/ids.ts'
import { openSqlite } from '../src/store/sqlite.ts'
import { liveScopes } from '../src/store/store.ts'

const DAY_MS = 86_400_000

/** Returns the ids of the newest ones, which have audit entries. */
export async function seed({ home, total, audited, principal }) {
  for (const name of ['config', 'state', 'run']) {
    mkdirSync(join(home, name), { recursive: true, mode: 0o700 })
  }
  const path = join(home, 'state', 'broker.sqlite')
  const operatorKey = loadOperatorKey(join(home, 'config', 'operator.key'), randomBytes)
  const keys = deriveChainKeys(operatorKey.reveal())
  const issuedAt = Date.now() - 60_000
  const newest = await throughTheStore({ path, keys, count: audited, issuedAt, principal })
  copies({ path, like: newest[0], count: total - audited, issuedAt })
  return newest.map((lease) => lease.id)
}

function leaseAt(issuedAt, principal) {
  const id = newLeaseId(issuedAt, randomBytes)
  const expiresAt = issuedAt + DAY_MS
  return {
    id,
    state: 'active',
    environment: 'staging',
    template: { name: 'default', version: 0, sha256: '0'.repeat(64) },
    principal: { kind: 'local', id: principal },
    actor: { command: 'node', pid: 4242 },
    reason: null,
    isolation: 'scrub',
    parent: null,
    issuedAt,
    expiresAt,
    deliveredAt: issuedAt,
    ackDeadline: issuedAt + 20_000,
    endedAt: null,
    endReason: null,
    endNote: null,
    proxied: false,
    foreignCredentials: [],
    grants: [
      {
        name: 'api',
        provider: 'jwt',
        connection: null,
        mode: 'native',
        capability: 'phantom',
        state: 'active',
        operations: ['read'],
        approvable: [],
        recipe: { jti: `${id}.api`, audience: 'https://api.staging.example' },
        handle: { jti: `${id}.api`, audience: 'https://api.staging.example' },
        mintStartedAt: null,
        expiresAt,
        possiblyLiveUntil: null,
        attempts: 0,
        firstFailedAt: null,
        lastError: null,
        notes: [],
        requests: { allowed: 0, denied: 0, approved: 0 },
      },
    ],
  }
}

async function throughTheStore({ path, keys, count, issuedAt, principal }) {
  const store = await openSqlite({ path, keys, now: Date.now })
  const made = []
  while (made.length < count) {
    await store.write(async (writer) => {
      for (let n = 0; n < 1000 && made.length < count; n++) {
        const lease = leaseAt(issuedAt, principal)
        const { id } = lease
        const secrets = {
          handleDigest: digest(newBearer('bkh_', randomBytes)),
          sessionDigest: digest(newBearer('bks_', randomBytes)),
        }
        await writer.insertLease(lease, secrets, lease.expiresAt)
        await writer.append({ type: 'lease.requested', lease: id, data: requestFacts(lease) })
        const [{ name, handle, notes }] = lease.grants
        await writer.append({
          type: 'lease.active',
          lease: id,
          data: { grants: [{ name, handle, notes }] },
        })
        await writer.append({ type: 'lease.delivered', lease: id, data: { session: false } })
        made.push(lease)
      }
    })
  }
  await store.close()
  return made
}

/** Older by a millisecond each, everything else as in `like`. Not durable, and need not be. */
function copies({ path, like, count, issuedAt }) {
  const db = new DatabaseSync(path)
  db.exec('pragma synchronous = off; pragma cache_size = -500000; begin')
  const lease = db.prepare('select * from leases where id = ?').get(like.id)
  const grant = db.prepare('select * from grants where lease = ?').get(like.id)
  const insertLease = inserter(db, 'leases', lease)
  const insertGrant = inserter(db, 'grants', grant)
  for (let age = count; age > 0; age--) {
    const at = issuedAt - age
    const id = newLeaseId(at, randomBytes)
    const expires_at = at + 2 * DAY_MS
    const named = JSON.stringify({ audience: 'https://api.staging.example', jti: `${id}.api` })
    insertLease({
      ...lease,
      id,
      issued_at: at,
      expires_at,
      due_at: expires_at,
      delivered_at: at,
      ack_deadline: at + 20_000,
      handle_digest: randomBytes(32).toString('hex'),
      session_digest: randomBytes(32).toString('hex'),
    })
    insertGrant({ ...grant, lease: id, recipe: named, handle: named, expires_at })
  }
  const add = db.prepare('update live_counts set live = live + ? where scope = ?')
  for (const scope of liveScopes(like)) add.run(count, scope)
  db.exec('commit; pragma wal_checkpoint(truncate)')
  db.close()
}

function inserter(db, name, row) {
  const columns = Object.keys(row)
  const places = columns.map(() => '?').join(', ')
  const statement = db.prepare(`insert into ${name} (${columns.join(', ')}) values (${places})`)
  return (values) => statement.run(...columns.map((column) => values[column]))
}
