import { describe, expect, it } from 'vitest'
import { isolationSection } from '../../src/cli/isolation-checks.ts'
import { type SelfFacts, selfProtection } from '../../src/daemon/self-protection.ts'
import { machineLevel } from '../../src/launch/machine-level.ts'

const LIMITS = (core: string) =>
  `Limit  Soft  Hard  Units\nMax core file size        ${core}  bytes\n`
const OPEN: SelfFacts = {
  uid: 1000,
  memoryOwner: 1000,
  ptraceScope: undefined,
  coreLimit: LIMITS('unlimited            unlimited'),
  coreFilter: '00000033\n',
}

describe('what doctor says of the daemon’s memory', () => {
  const rows = [
    { name: 'nothing', facts: {}, level: 'warning', says: 'this kernel has no ptrace_scope' },
    {
      name: 'Yama that allows all',
      facts: { ptraceScope: 0 },
      level: 'warning',
      says: 'ptrace_scope is 0',
    },
    {
      name: 'root',
      facts: { uid: 0, memoryOwner: 0 },
      level: 'note',
      says: 'every program of root',
    },
    { name: 'Yama', facts: { ptraceScope: 1 }, level: 'ok', says: 'ptrace_scope is 1' },
    {
      name: 'its start',
      facts: { memoryOwner: 0 },
      level: 'ok',
      says: 'no program of yours can read',
    },
  ]
  it.each(rows)('with $name to protect it: $says', ({ facts, level, says }) => {
    const [memory] = selfProtection({ ...OPEN, ...facts })
    expect(memory).toMatchObject({ level, message: expect.stringContaining(says) })
    expect(memory?.hint === null).toBe(level === 'ok')
  })

  const cores = [
    { name: 'nothing forbids it', facts: {}, level: 'warning' },
    {
      name: 'only the soft limit does',
      facts: { coreLimit: LIMITS('0                    unlimited') },
      level: 'warning',
    },
    { name: 'the limit does', facts: { coreLimit: LIMITS('0                    0') }, level: 'ok' },
    { name: 'nothing would be in it', facts: { coreFilter: '00000000\n' }, level: 'ok' },
  ]
  it.each(cores)('of core files where $name: $level', ({ facts, level }) => {
    expect(selfProtection({ ...OPEN, ...facts })[1]?.level).toBe(level)
  })

  it('is nothing where nobody can tell', () => {
    expect(selfProtection(undefined).length).toBe(process.platform === 'linux' ? 2 : 0)
  })
})

describe('what doctor says of isolation', () => {
  const facts = { home: '/nowhere', brokerFolders: [] }

  it('is scrub, with what to install, where there is no bubblewrap', async () => {
    const reached = await machineLevel({ ...facts, env: { PATH: '/nowhere' } }, 'linux')
    expect(reached.level).toBe('scrub')
    const { findings } = isolationSection(reached)
    expect(findings.map(({ level, message }) => [level, message])).toEqual([
      ['warning', 'broker exec reaches "scrub": a clean environment, and nothing hidden'],
      ['warning', '"mask" does not work here: bubblewrap (bwrap) is not installed'],
      ['note', expect.stringContaining('a process of the same user is not a boundary')],
    ])
    expect(findings[1]?.hint).toContain('install bubblewrap')
  })

  it.each(['darwin', 'win32'] as const)('is scrub on %s, and says why', async (platform) => {
    const reached = await machineLevel({ ...facts, env: {} }, platform)
    expect(reached).toMatchObject({
      level: 'scrub',
      shortfall: { reason: expect.stringContaining('Linux alone') },
    })
  })

  it('names what confine lacks where mask is reached', () => {
    const shortfall = { reason: 'no network of its own', hint: 'allow it' }
    const { findings } = isolationSection({ level: 'mask', shortfall })
    expect(findings[0]).toMatchObject({
      level: 'warning',
      message: expect.stringContaining('"mask"'),
    })
    expect(findings[1]).toEqual({
      level: 'warning',
      message: '"confine" does not work here: no network of its own',
      hint: 'allow it',
    })
  })

  it('is all right at confine, and still says what a level is worth', () => {
    const { findings } = isolationSection({ level: 'confine', shortfall: undefined })
    expect(findings.map(({ level }) => level)).toEqual(['ok', 'note'])
    expect(findings[1]?.message).toContain('what the client that asked for it said')
  })
})
