import { spawn } from 'node:child_process'
import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { entryRows, verdictText } from '../../src/cli/audit-text.ts'
import { endOf } from '../../src/cli/daemon-probe.ts'
import { statusOf, statusText } from '../../src/cli/daemon-text.ts'
import { doctorText, hasProblem } from '../../src/cli/finding-text.ts'
import { leaseRows, troubles } from '../../src/cli/lease-text.ts'
import { localSection } from '../../src/cli/local-checks.ts'
import { followLines, lastLines } from '../../src/cli/log-lines.ts'
import { clock, left, span } from '../../src/cli/moments.ts'
import { pagesOf } from '../../src/cli/pages.ts'
import { revokeText } from '../../src/cli/revoke-text.ts'
import { changeLines, templateText } from '../../src/cli/template-text.ts'
import { PLAIN } from '../../src/cli/terminal.ts'
import { resolveHome } from '../../src/lib/home.ts'
import { grant, LEASE_ID, lease } from '../cli/commands-samples.ts'

const NOW = Date.parse('2026-01-01T00:04:00.000Z')

describe('a lease', () => {
  test('that may still work never looks as if it were over', () => {
    const until = '2026-01-01T00:30:00.000Z'
    const pending = lease({
      state: 'stuck',
      grants: [grant({ state: 'stuck', possiblyLiveUntil: until, lastError: 'down' })],
    })
    expect(troubles(pending, NOW)).toEqual([
      `db possibly live until ${clock(until, NOW)}`,
      'db stuck, still retried: down',
    ])
    expect(revokeText({ leases: [pending] }, PLAIN, NOW)[0]).toContain('still stuck')
    // One of a newer daemon that this version does not know.
    const unknown = lease({ state: 'melting' as never })
    expect(revokeText({ leases: [unknown] }, PLAIN, NOW)[0]).toContain('still melting')
  })

  test('is over only with its reason', () => {
    const ended = lease({
      state: 'failed',
      endedAt: '2026-01-01T00:01:00.000Z',
      endReason: 'mint_failed',
      endNote: 'refused',
    })
    expect(leaseRows([ended], NOW, PLAIN)[0]).toMatch(/\tended .*: mint_failed \(refused\)$/)
    expect(troubles(ended, NOW)).toEqual([])
  })

  test('is a row with everything that JSON says of it to a person', () => {
    const [row] = leaseRows([lease()], NOW, PLAIN)
    expect(row?.split('\t')).toEqual([
      LEASE_ID,
      'active',
      'staging',
      'staging-dev v3',
      'alice',
      'cursor',
      '4m',
      '26m',
      'db native',
      '',
    ])
  })

  test('says which grant is in another state than the lease', () => {
    const mixed = lease({
      state: 'revoking',
      grants: [grant({ state: 'revoked' }), grant({ name: 'api', state: 'revoking' })],
    })
    expect(leaseRows([mixed], NOW, PLAIN)[0]).toContain('db native revoked, api native')
  })
})

test('moments never go negative and never lie about what is over', () => {
  expect(span(1000, 500)).toBe('0s')
  expect(left('2026-01-01T00:04:00.000Z', NOW)).toBe('over')
  expect(clock('nonsense', NOW)).toBe('nonsense')
})

test('changes that widen stand first, whatever order they came in', () => {
  const lines = changeLines(
    [
      { effect: 'neutral', message: 'c' },
      { effect: 'narrows', message: 'b' },
      { effect: 'widens', message: 'a' },
    ],
    PLAIN,
  )
  expect(lines).toEqual(['+ a', '− b', '· c'])
})

test('a template is shown with every rule, the denying ones too', () => {
  const text = templateText(
    {
      name: 'dev',
      version: 2,
      sha256: 'f'.repeat(64),
      appliedAt: null,
      description: '',
      isDefault: false,
      environments: ['staging'],
      ttlMs: 1_800_000,
      maxTtlMs: 14_400_000,
      isolation: 'scrub',
      grants: { db: { allow: ['read'], approve: ['write'], deny: ['TRUNCATE'] } },
      definition: {},
    },
    PLAIN,
  ).join('\n')
  for (const part of [
    'db allow read',
    'db approve write',
    'db deny TRUNCATE',
    'ttl 30m, at most 4h',
  ]) {
    expect(text).toContain(part)
  }
})

test('an audit entry fits its terminal, and is whole for a pipe', () => {
  const entry = {
    seq: 1,
    at: '2026-01-01T00:00:00.000Z',
    type: 'lease.requested',
    lease: LEASE_ID,
    data: { text: 'x'.repeat(500) },
    hash: 'h',
  }
  const [line = ''] = entryRows([entry], { terminal: true, colour: false, columns: 100 }, NOW)
  expect(line).toHaveLength(100)
  expect(line.endsWith('…')).toBe(true)
  expect(entryRows([entry], PLAIN, NOW)[0]).toContain('x'.repeat(500))
})

test('why something was refused is never cut off', () => {
  const actor = { pid: null }
  const data = {
    address: '127.0.0.1',
    template: null,
    actor,
    message: 'y'.repeat(200),
    reason: 'denied',
  }
  const entry = { seq: 1, at: '2026-01-01T00:00:00.000Z', type: 'exchange.refused', hash: 'h' }
  const look = { terminal: true, colour: false, columns: 60 }
  const rows = entryRows([{ ...entry, lease: null, data }], look, NOW)
  expect(rows[0]).toMatch(/exchange\.refused {2}-$/)
  expect(rows[1]).toBe(`        reason=denied message=${'y'.repeat(200)} address=127.0.0.1`)
  expect(entryRows([{ ...entry, lease: null, data }], PLAIN, NOW)[0]).toContain('template=null')
})

test('a verdict without a bad entry is still broken when it is not ok', () => {
  const text = verdictText({ ok: false, entries: 3, head: null, bad: null }, PLAIN)
  expect(text).toEqual(['broken at an unknown entry'])
})

test('the status of a daemon that does not run has every key', () => {
  const home = resolveHome({ BROKER_HOME: '/x' })
  const status = statusOf(null, home)
  expect(Object.keys(status)).toEqual(['running', 'pid', 'version', 'socket', 'home'])
  expect(statusText(status)[0]).toBe('not running')
})

describe('doctor', () => {
  test('calls a folder that is open to others a problem, with the command that closes it', () => {
    const folder = mkdtempSync(join(tmpdir(), 'broker-doctor-'))
    try {
      writeFileSync(join(folder, 'config'), '')
      mkdirSync(join(folder, 'state'), { mode: 0o755 })
      mkdirSync(join(folder, 'run'), { mode: 0o700 })
      const report = { sections: [localSection(resolveHome({ BROKER_HOME: folder }))] }
      const problems = report.sections[0]?.findings.filter(({ level }) => level === 'problem')
      expect(problems).toEqual([
        expect.objectContaining({ message: `config folder ${folder}/config is not a folder` }),
        {
          level: 'problem',
          message: `state folder ${folder}/state is open to others (mode 0755)`,
          hint: `chmod 700 ${folder}/state`,
        },
      ])
      expect(hasProblem(report)).toBe(true)
      const text = doctorText(report, PLAIN).join('\n')
      expect(text).toContain(`problem  config folder ${folder}/config is not a folder`)
    } finally {
      rmSync(folder, { recursive: true })
    }
  })

  test('has no problem where there are only warnings', () => {
    const findings = [{ level: 'warning' as const, message: 'x', hint: null }]
    expect(hasProblem({ sections: [{ title: 't', findings }] })).toBe(false)
  })
})

test('pages are fetched one after the other until there is no cursor', async () => {
  const cursors: (string | undefined)[] = []
  const pages = pagesOf(async (cursor) => {
    cursors.push(cursor)
    return { items: [cursor], nextCursor: cursor === undefined ? 'a' : cursor === 'a' ? 'b' : null }
  })
  const seen: unknown[] = []
  for await (const page of pages) seen.push(page)
  expect(seen).toEqual([[undefined], ['a'], ['b']])
  expect(cursors).toEqual([undefined, 'a', 'b'])
})

describe('a log', () => {
  test('that is not there has no lines', () => {
    expect(lastLines('/nowhere/at/all', 10)).toEqual({ lines: [], offset: 0 })
  })

  test('shows whole lines only, follows what is appended and begins again when it was cut', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'broker-log-'))
    const file = join(folder, 'daemon.log')
    try {
      writeFileSync(file, 'one\ntwo\nthr')
      const { lines, offset } = lastLines(file, 1)
      expect(lines).toEqual(['two'])
      const follow = followLines(file, offset)
      appendFileSync(file, 'ee\nfour\n')
      expect((await follow.next()).value).toEqual(['three', 'four'])
      writeFileSync(file, 'new\n')
      expect((await follow.next()).value).toEqual(['new'])
      await follow.return(undefined)
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
})

test.runIf(process.platform === 'linux')(
  'a process that is dead but not collected has ended',
  async () => {
    // The shell becomes a `sleep` that never collects the `cat` it started.
    const parent = spawn('sh', ['-c', 'exec 3<&0; cat <&3 & echo $!; exec sleep 600 <&-'], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    try {
      const pid = Number(await new Promise((resolve) => parent.stdout.once('data', resolve)))
      const stat = () => readFileSync(`/proc/${pid}/stat`, 'latin1')
      // For a moment it is still a copy of the shell, by whose name it would be known.
      while (!stat().includes('(cat)')) await setImmediate()
      const hasEnded = endOf(pid)
      expect(hasEnded()).toBe(false)
      parent.stdin.end()
      while (!stat().includes(') Z ')) await setImmediate()
      expect(hasEnded()).toBe(true)
    } finally {
      parent.kill('SIGKILL')
    }
  },
)
