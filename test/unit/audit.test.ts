import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { entryHash, GENESIS, isSignedByUs, signHead } from '../../src/audit/chain.ts'
import type { SignedHead } from '../../src/audit/entry.ts'
import { deriveChainKeys } from '../../src/audit/keys.ts'
import { type Verdict, verifyChain } from '../../src/audit/verify.ts'
import { openSqlite } from '../../src/store/sqlite.ts'

const KEYS = deriveChainKeys('bko_audit')
let folder: string
let path: string

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'broker-audit-'))
  path = join(folder, 'broker.sqlite')
  const store = await openSqlite({ path, keys: KEYS, now: () => 1_800_000_000_000 })
  for (let n = 1; n <= 9; n++) {
    await store.write((writer) =>
      writer.append({ type: 'daemon.started', lease: null, data: { n } }),
    )
  }
  await store.close()
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

/** Edits the database behind the broker's back, as someone with the file could. */
function tamper(...statements: string[]): void {
  const database = new DatabaseSync(path)
  for (const statement of statements) database.exec(statement)
  database.close()
}

async function verify(checkpoint: SignedHead | null = null, keys = KEYS): Promise<Verdict> {
  const store = await openSqlite({ path, keys, now: () => 1_800_000_000_000 })
  try {
    const entries = await store.read.entries({ after: -100, limit: 1000 })
    async function* batches() {
      yield entries.slice(0, 4)
      yield entries.slice(4)
    }
    return await verifyChain(keys, batches(), {
      head: (await store.read.head()) ?? null,
      checkpoint,
    })
  } finally {
    await store.close()
  }
}

/** Gives every entry from `seq` on a hash that fits its predecessor: what someone without the key can do. */
function rehash(from: number): void {
  const database = new DatabaseSync(path)
  let previous = GENESIS.hash
  for (const row of database.prepare('select * from audit order by seq').all() as never[]) {
    const entry = row as {
      seq: number
      at: string
      type: string
      lease: string | null
      data: string
      hash: string
    }
    const hash = entry.seq < from ? entry.hash : entryHash(previous, entry)
    database.prepare('update audit set hash = ? where seq = ?').run(hash, entry.seq)
    previous = hash
  }
  database.close()
}

describe('verifying', () => {
  it.each([
    ['edited data', ['update audit set data = \'{"n":0}\' where seq = 4'], 4, 'edited'],
    [
      'an edited time',
      ["update audit set at = '2020-01-01T00:00:00.000Z' where seq = 2"],
      2,
      'edited',
    ],
    ['another lease', ["update audit set lease = 'lse_other' where seq = 7"], 7, 'edited'],
    ['an edited last entry', ["update audit set type = 'x' where seq = 9"], 9, 'edited'],
    ['a removed entry', ['delete from audit where seq = 5'], 5, 'removed'],
    ['a removed first entry', ['delete from audit where seq = 1'], 1, 'removed'],
    [
      'a removed entry with the rest moved up',
      ['delete from audit where seq = 5', 'update audit set seq = seq - 1 where seq > 5'],
      5,
      'edited',
    ],
    ['a cut end', ['delete from audit where seq > 6'], 7, 'cut'],
    ['a whole log gone', ['delete from audit'], 1, 'cut'],
    [
      'an entry put behind the end',
      ["insert into audit values (10, 'x', 'x', null, '{}', 'x', 'x')"],
      10,
      'inserted',
    ],
    [
      'an entry put before the first',
      ["insert into audit values (0, 'x', 'x', null, '{}', 'x', 'x')"],
      1,
      'removed',
    ],
    [
      'a head moved back with the cut',
      [
        'delete from audit where seq > 6',
        'update audit_head set seq = 6, hash = (select hash from audit where seq = 6)',
      ],
      6,
      'head',
    ],
    ['a missing head', ['delete from audit_head'], 9, 'head'],
  ])('names %s', async (_name, statements, seq, problem) => {
    tamper(...statements)
    expect(await verify()).toMatchObject({ ok: false, bad: { seq, problem } })
  })

  it('names the very entry when the whole chain after it was recomputed without the key', async () => {
    tamper('update audit set data = \'{"n":0}\' where seq = 3')
    rehash(3)
    expect(await verify()).toMatchObject({ ok: false, bad: { seq: 3, problem: 'edited' } })
  })

  it('names an entry that was slipped in between', async () => {
    tamper(
      'update audit set seq = -seq where seq > 5',
      'update audit set seq = 1 - seq where seq < 0',
      "insert into audit values (6, '2027-01-15T08:00:00.000Z', 'x', null, '{}', 'x', 'x')",
    )
    expect((await verify()).bad).toMatchObject({ seq: 6 })
  })

  it('notices a database that is older than its checkpoint', async () => {
    const ahead = signHead(KEYS, { seq: 12, hash: 'ab'.repeat(32) }, 0)
    expect(await verify(ahead)).toMatchObject({ ok: false, bad: { seq: 10, problem: 'cut' } })
    const other = signHead(KEYS, { seq: 5, hash: 'ab'.repeat(32) }, 0)
    expect(await verify(other)).toMatchObject({ ok: false, bad: { seq: 5, problem: 'edited' } })
  })

  it('does not accept a log that was sealed with another key', async () => {
    expect(await verify(null, deriveChainKeys('bko_other'))).toMatchObject({
      ok: false,
      bad: { seq: 1 },
    })
  })

  it('accepts the log as it was written', async () => {
    expect(await verify()).toMatchObject({ ok: true, entries: 9, bad: null, head: { seq: 9 } })
  })

  it('keeps showing a cut after the broker went on writing', async () => {
    tamper('delete from audit where seq > 7')
    const store = await openSqlite({ path, keys: KEYS, now: () => 1_800_000_000_000 })
    await store.write((writer) => writer.append({ type: 'daemon.stopped', lease: null, data: {} }))
    await store.close()
    expect(await verify()).toMatchObject({ ok: false, bad: { seq: 8, problem: 'removed' } })
  })

  it('goes on, and keeps showing it, after an entry was put behind the end', async () => {
    tamper("insert into audit values (10, 'x', 'x', null, '{}', 'x', 'x')")
    const store = await openSqlite({ path, keys: KEYS, now: () => 1_800_000_000_000 })
    await store.write((writer) => writer.append({ type: 'daemon.stopped', lease: null, data: {} }))
    await store.close()
    expect((await verify()).bad).toMatchObject({ seq: 10 })
  })
})

describe('a signed head', () => {
  it('is refused with any part changed', () => {
    const head = signHead(KEYS, { seq: 3, hash: 'aa' }, 0)
    expect(isSignedByUs(KEYS, head)).toBe(true)
    for (const change of [
      { seq: 4 },
      { hash: 'ab' },
      { at: 'x' },
      { signature: 'AAAA' },
      { signature: '' },
    ]) {
      expect(isSignedByUs(KEYS, { ...head, ...change })).toBe(false)
    }
  })
})
