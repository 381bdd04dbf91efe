import { spawn } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { BIN, collect, TestBroker } from '../fixtures/broker.ts'

let broker: TestBroker
beforeAll(() => {
  broker = new TestBroker()
})
afterAll(() => broker.dispose())

const BEFORE =
  /^broker: lease lse_[0-9a-z]{26} · staging · template default · 30m · isolation scrub · api native\n/
const AFTER = /\nbroker: revoked in \d+ ms\n$/

describe('what is refused before anything runs', () => {
  const refusals = [
    { name: 'no environment', args: ['--', 'true'], says: 'broker: --env is missing' },
    { name: 'no command', args: ['--env', 'staging'], says: 'broker: there is no command to run' },
    { name: 'an empty command', args: ['--env', 'staging', '--'], says: 'there is no command' },
    {
      name: 'an unknown flag',
      args: ['--env', 'staging', '--sudo', '--', 'true'],
      says: 'there is no flag "--sudo"',
    },
    {
      name: 'a command before the dashes',
      args: ['--env', 'staging', 'true'],
      says: 'something before -- that is no flag',
    },
    {
      name: 'a flag given twice',
      args: ['--env', 'staging', '--env', 'dev', '--', 'true'],
      says: '--env is given twice',
    },
    {
      name: 'a time that is none',
      args: ['--env', 'staging', '--ttl', 'soon', '--', 'true'],
      says: '--ttl cannot be "soon"',
    },
    {
      name: 'a level that there is not',
      args: ['--env', 'staging', '--isolation', 'total', '--', 'true'],
      says: '--isolation cannot be "total"',
    },
    {
      name: 'a server outside of a CI job',
      args: ['--env', 'staging', '--server', 'https://x.example', '--', 'true'],
      says: 'this is no CI job whose identity is known',
    },
    {
      name: 'a value given to --pass',
      args: ['--env', 'staging', '--pass', 'TOKEN=hunter2', '--', 'true'],
      says: '--pass takes the name of a variable alone',
    },
    {
      name: 'a BROKER_ variable given to --pass',
      args: ['--env', 'staging', '--pass', 'BROKER_HOME', '--', 'true'],
      says: '--pass cannot let a BROKER_ variable through',
    },
  ]
  for (const { name, args, says } of refusals) {
    it(`refuses ${name} with 125 and a hint`, async () => {
      const result = await broker.run(['exec', ...args])
      expect(result.status).toBe(125)
      expect(result.err).toContain(says)
      expect(result.err).toMatch(/\nhint: .+\n$/)
      expect(result.err).not.toContain('hunter2')
      expect(result.out).toBe('')
    })
  }

  it('refuses an environment that does not exist and runs nothing', async () => {
    const marker = join(broker.folder, 'ran')
    const result = await broker.run(['exec', '--env', 'nowhere', '--', 'touch', marker])
    expect(result.status).toBe(125)
    expect(result.err).toMatch(/^broker: .*"nowhere".*\nhint: .+\n$/)
    const ls = await broker.exec(['ls', marker])
    expect(ls.status).not.toBe(0)
  })

  it('asks for no lease when the command is not found (127) or not executable (126)', async () => {
    const plain = join(broker.folder, 'plain.txt')
    writeFileSync(plain, 'text', { mode: 0o644 })
    const before = (await broker.leases()).length
    const missing = await broker.exec(['no-such-command-here'])
    expect(missing.status).toBe(127)
    expect(missing.err).toBe(
      'broker: command "no-such-command-here" was not found\n' +
        'hint: check the name and PATH, or give the path of the program\n',
    )
    const text = await broker.exec([plain])
    expect(text.status).toBe(126)
    expect(text.err).toContain('cannot be executed')
    const folder = await broker.exec([broker.folder])
    expect(folder.status).toBe(126)
    expect((await broker.leases()).length).toBe(before)
  })

  it('ends the lease again when the command is there and yet cannot be started', async () => {
    const script = join(broker.folder, 'no-interpreter')
    writeFileSync(script, '#!/no/such/interpreter\n')
    chmodSync(script, 0o755)
    const result = await broker.exec([script])
    expect(result.status).toBe(127)
    expect(result.err).toMatch(BEFORE)
    expect(result.err).toMatch(AFTER)
    expect((await broker.leases())[0]).toMatchObject({ state: 'revoked', endReason: 'task_ended' })
  })
})

describe('exit status', () => {
  for (const code of [0, 1, 2, 42, 125, 255]) {
    it(`is the child's own: ${code}`, async () => {
      expect((await broker.exec(['sh', '-c', `exit ${code}`])).status).toBe(code)
    })
  }

  for (const [signal, number] of [
    ['KILL', 9],
    ['TERM', 15],
    ['INT', 2],
    ['SEGV', 11],
  ] as const) {
    it(`is ${128 + number} for a child that SIG${signal} ended`, async () => {
      const result = await broker.exec(['sh', '-c', `kill -${signal} $$`])
      expect(result.status).toBe(128 + number)
      expect(result.err).toMatch(AFTER)
    })
  }
})

describe('streams', () => {
  it('writes one line before and one after to standard error, and nothing else', async () => {
    const result = await broker.exec(['sh', '-c', 'echo own words >&2'])
    expect(result.err).toMatch(BEFORE)
    expect(result.err).toMatch(AFTER)
    expect(result.err.split('\n')).toHaveLength(4)
    expect(result.err.split('\n')[1]).toBe('own words')
  })

  it('writes neither with --quiet', async () => {
    const result = await broker.exec(['sh', '-c', 'echo own words >&2'], ['--quiet'])
    expect(result.err).toBe('own words\n')
  })

  it('leaves standard output and input to the child, byte for byte', async () => {
    const bytes = Buffer.from(Array.from({ length: 300_000 }, (_, i) => (i * 7 + (i >> 8)) & 0xff))
    const result = await broker.exec(['cat'], [], { input: bytes })
    expect(result.status).toBe(0)
    expect(result.stdout.equals(bytes)).toBe(true)
  })

  for (const closed of ['>&-', '2>&-', '<&-', '2>&1 | true']) {
    it(`runs the child and keeps its status when the streams are closed (${closed})`, async () => {
      const marker = join(broker.folder, `ran ${closed.replaceAll('/', '')}`)
      const line = `{ "$0" "$1" exec --isolation scrub --env staging -- sh -c 'sleep 0.2; touch "$0"; exit 7' "$2"; echo "status $?" >"$2.status"; } ${closed}`
      const child = spawn('sh', ['-c', line, process.execPath, BIN, marker], { env: broker.env() })
      await collect(child)
      expect(existsSync(marker)).toBe(true)
      expect(readFileSync(`${marker}.status`, 'utf8')).toBe('status 7\n')
    })
  }

  it('calls the command by the name it was typed as, and finds it as a shell would', async () => {
    const folder = join(broker.folder, 'tools')
    mkdirSync(folder)
    writeFileSync(join(folder, 'called'), 'echo "$0 ran"\n') // no interpreter line: a shell runs it
    chmodSync(join(folder, 'called'), 0o755)
    const PATH = `${folder}:${process.env['PATH']}`
    const found = await broker.exec(['called'], [], { env: { PATH } })
    expect(found.out).toContain('called ran')
    const sh = await broker.exec(['sh', '-c', 'echo $0'])
    expect(sh.out).toBe('sh\n')
    const relative = await broker.exec(['./called'], [], { cwd: folder })
    expect(relative.out).toContain('called ran')
  })
})

describe('--until-ttl', () => {
  it('leaves the lease live and says until when', async () => {
    const result = await broker.exec(['true'], ['--until-ttl', '--ttl', '1h'])
    expect(result.status).toBe(0)
    expect(result.err).toMatch(/\nbroker: lease lse_\w{26} stays live until [\d :-]+\n$/)
    expect((await broker.leases())[0]).toMatchObject({ state: 'active' })
    const revoked = await broker.run(['revoke', '--all'])
    expect(revoked.status).toBe(0)
  })
})

describe('twenty at once on a fresh home', () => {
  it('start one daemon between them, and all run', async () => {
    const fresh = new TestBroker()
    try {
      const results = await Promise.all(
        Array.from({ length: 20 }, () => fresh.exec(['sh', '-c', 'echo $BROKER_LEASE'])),
      )
      expect(results.map((result) => result.status)).toEqual(results.map(() => 0))
      expect(new Set(results.map((result) => result.out)).size).toBe(20)
      const leases = await fresh.leases()
      expect(leases.map((lease) => lease.state)).toEqual(leases.map(() => 'revoked'))
      expect(leases).toHaveLength(20)
    } finally {
      await fresh.dispose()
    }
  })
})
