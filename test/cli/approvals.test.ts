import { stripVTControlCharacters } from 'node:util'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { questionView } from '../../src/daemon/approval-view.ts'
import { approvalId, approvalOf, leaseId } from '../fixtures/approvals.ts'
import { failing, freshHome, runBroker, scriptedDaemon } from './commands-product.ts'
import { CTRL_C, ENTER, hasTerminal, Terminal } from './commands-terminal.ts'

const ID = approvalId(1)
const UNLOCKED = { enrolled: true, lockedUntil: null }
const CODE = '731946'
const SECRET = 'JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP'
const OFFER = { uri: `otpauth://totp/broker:a?secret=${SECRET}&issuer=broker`, secret: SECRET }

const question = (changes: Parameters<typeof approvalOf>[1] = {}, waiting = true) =>
  questionView(
    approvalOf(1, { createdAt: Date.now(), lapsesAt: Date.now() + 600_000, ...changes }),
    waiting,
  )
const list = (changes = {}, approver: object = UNLOCKED) => ({
  body: { approvals: [question(changes)], nextCursor: null, approver },
})
const happy = {
  listApprovals: () => list(),
  showApproval: () => ({ body: question() }),
  approve: () => ({ body: question({ state: 'approved' }) }),
  deny: () => ({ body: question({ state: 'denied' }) }),
  enroll: () => ({ status: 201, body: OFFER }),
  confirmEnrollment: () => ({ body: UNLOCKED }),
}

let home: ReturnType<typeof freshHome>
let daemon: Awaited<ReturnType<typeof scriptedDaemon>>
const serve = async (script: Parameters<typeof scriptedDaemon>[1] = {}) => {
  daemon = await scriptedDaemon(home.path, { ...happy, ...script })
}
beforeEach(() => {
  home = freshHome()
})
afterEach(async () => {
  await daemon.close()
  home.remove()
})
const run = (args: readonly string[], env = {}, input = '') =>
  runBroker(args, { home: home.path, env, input })

describe('without a terminal', () => {
  it.each([
    ['approve', ID],
    ['approve', '--enroll'],
    ['approve', '--enroll', '--reset'],
  ])('%s %s asks nobody, takes no code from a pipe, and ends with 4', async (...args) => {
    await serve()
    const ran = await run(args, {}, `${CODE}\n`)
    expect(ran).toMatchObject({ code: 4, stdout: '' })
    expect(ran.stderr).toMatch(/needs a person at a terminal\nhint: .*no flag, file or pipe/)
    for (const route of ['approve', 'enroll', 'confirmEnrollment'] as const) {
      expect(daemon.asked(route)).toEqual([])
    }
  })

  it('approve takes no code by flag or argument', async () => {
    await serve()
    for (const args of [
      ['approve', ID, '--code', CODE],
      ['approve', ID, CODE],
    ]) {
      const ran = await run(args)
      expect(ran.code).toBe(2)
      expect(ran.stderr).not.toContain(CODE)
    }
    expect(daemon.asked('approve')).toEqual([])
  })

  it.each([
    [['approve'], 'nothing says what to approve'],
    [['approve', ID, '--enroll'], 'ID and --enroll exclude each other'],
    [['approve', ID, '--reset'], '--reset goes with --enroll only'],
    [['approve', 'apr_1'], '"apr_1" is not the id of an approval'],
    [['deny', leaseId(1)], 'is not the id of an approval'],
  ] as const)('%j is a mistake', async (args, message) => {
    await serve()
    const ran = await run(args)
    expect(ran.code).toBe(2)
    expect(ran.stderr).toContain(message)
  })

  it('deny needs nobody, and says why to the daemon', async () => {
    await serve()
    const ran = await run(['deny', ID, '--reason', 'production'])
    expect(ran).toMatchObject({ code: 0, stdout: `${ID} denied: whoever waits is told\n` })
    expect(daemon.asked('deny')).toMatchObject([{ body: { reason: 'production' } }])
    const json = await run(['deny', ID, '--json'])
    expect(JSON.parse(json.stdout)).toMatchObject({ id: ID, state: 'denied' })
  })

  it('approvals lists, with JSON that has what the daemon has', async () => {
    await serve()
    const text = await run(['approvals'])
    expect(text.stdout).toMatch(new RegExp(`^${ID}\t.*\tvolumeDelete\tpgdata\n$`))
    const json = JSON.parse((await run(['approvals', '--json', '--all'])).stdout)
    expect(json.approvals).toMatchObject([{ id: ID, state: 'pending' }])
    expect(daemon.asked('listApprovals').map(({ url }) => url)).toEqual([
      '/v1/approvals?state=pending&limit=200',
      '/v1/approvals?state=all&limit=200',
    ])
  })

  it('approvals says so when nothing waits, and leaves a pipe empty', async () => {
    await serve({ listApprovals: () => ({ body: { approvals: [], nextCursor: null } }) })
    expect(await run(['approvals'])).toMatchObject({
      code: 0,
      stdout: '',
      stderr: 'nothing waits for a decision\n',
    })
  })
})

describe('inside a task', () => {
  it.each([['approvals'], ['approve', ID], ['approve', '--enroll'], ['deny', ID]])(
    '%s %s says that a person does it outside, and asks nothing',
    async (...args) => {
      await serve()
      const env = { BROKER_HANDLE: 'bkh_x', BROKER_SOCKET: `${home.path}/run/broker.sock` }
      const ran = await run(args, env)
      expect(ran).toMatchObject({ code: 3, stdout: '' })
      expect(ran.stderr).toContain('hint: do it outside of broker exec')
      for (const route of ['listApprovals', 'showApproval', 'approve', 'deny'] as const) {
        expect(daemon.asked(route)).toEqual([])
      }
    },
  )
})

describe.skipIf(!hasTerminal())('at a terminal', () => {
  const start = (args: readonly string[], env = {}) => new Terminal(args, { home: home.path, env })

  it('approve shows everything before it asks, and sends the code that was typed unseen', async () => {
    await serve()
    const terminal = start(['approve', ID])
    await terminal.until('code to approve this:')
    const shown = stripVTControlCharacters(terminal.shown)
    for (const part of [
      '"fix login" (its own words)',
      '"volumeDelete" (destructive: destroys)',
      'volume "pgdata", id "vol-1"',
      'in "staging" (id "env-1") and id "env-2"',
      '"3 backups"',
      leaseId(1),
    ]) {
      expect(shown).toContain(part)
    }
    terminal.type(`731 946${ENTER}`)
    expect(await terminal.end()).toBe(0)
    expect(daemon.asked('approve')).toMatchObject([{ body: { code: CODE } }])
    expect(terminal.shown).toContain('approved: the held request goes on')
    expect(terminal.shown).not.toMatch(/731 ?946/)
  })

  it('approve asks for the words where the template says so', async () => {
    await serve({ showApproval: () => ({ body: question({ confirm: 'typed' }) }) })
    const terminal = start(['approve', ID])
    await terminal.until('type pgdata to approve this:')
    terminal.type(`PgData${ENTER}`)
    expect(await terminal.end()).toBe(0)
    expect(daemon.asked('approve')).toMatchObject([{ body: { typed: 'PgData' } }])
  })

  it('approve asks for no code when it could not count', async () => {
    const locked = { enrolled: true, lockedUntil: '2026-01-01T00:10:00.000Z' }
    for (const [script, code, message] of [
      [{ listApprovals: () => list({}, { enrolled: false, lockedUntil: null }) }, 3, '--enroll'],
      [{ listApprovals: () => list({}, locked) }, 3, 'approving is locked until 2026-01-01'],
      [{ showApproval: () => ({ body: question({ state: 'denied' }) }) }, 1, 'denied already'],
    ] as const) {
      await serve(script)
      const terminal = start(['approve', ID])
      expect(await terminal.end()).toBe(code)
      expect(terminal.shown).toContain(message)
      expect(terminal.shown).not.toContain('code to approve')
      if (code !== 1) await daemon.close()
    }
  })

  it('approve sends nothing for what cannot be a code, and nothing on Ctrl-C', async () => {
    await serve()
    for (const [keys, code] of [
      [`12345${ENTER}`, 2],
      [CTRL_C, 130],
    ] as const) {
      const terminal = start(['approve', ID])
      await terminal.until('code to approve this:')
      terminal.type(keys)
      expect(await terminal.end()).toBe(code)
    }
    expect(daemon.asked('approve')).toEqual([])
  })

  it('approve tells what the daemon refused with, and not the code', async () => {
    await serve({ approve: () => failing('denied', 'the code is wrong', 'try again', 403) })
    const terminal = start(['approve', ID])
    await terminal.until('code to approve this:')
    terminal.type(`${CODE}${ENTER}`)
    expect(await terminal.end()).toBe(3)
    expect(terminal.shown).toContain('the code is wrong')
    expect(terminal.shown).not.toContain(CODE)
  })

  it('approve lets no name out of its line', async () => {
    const name = 'pg\u001b[2K\u202edata\nstaging\u200b'
    const [target] = approvalOf(1).targets
    if (!target) throw new Error('no target')
    const hostile = { targets: [{ ...target, name, renamed: true }], summary: name, reason: name }
    await serve({ showApproval: () => ({ body: question(hostile) }) })
    const terminal = start(['approve', ID])
    await terminal.until('code to approve this:')
    terminal.type(CTRL_C)
    await terminal.end()
    expect(terminal.shown).toContain(String.raw`pg\u001b[2K\u202edata\u000astaging\u200b`)
    expect(terminal.shown).not.toContain('pg\u001b[2K')
    expect(terminal.shown).not.toMatch(/[\u202e\u200b]/)
    expect(terminal.shown).toContain('! renamed by this lease')
  })

  it('enroll shows a QR code and the key on a screen of their own, and confirms', async () => {
    await serve({ listApprovals: () => list({}, { enrolled: false, lockedUntil: null }) })
    const terminal = start(['approve', '--enroll'])
    await terminal.until('code that the app shows:')
    expect(daemon.asked('enroll')).toMatchObject([{ body: {} }])
    expect(terminal.shown).toContain('█▀')
    expect(terminal.shown).toContain('JBSW Y3DP EHPK 3PXP')
    terminal.type(`${CODE}${ENTER}`)
    expect(await terminal.end()).toBe(0)
    expect(daemon.asked('confirmEnrollment')).toMatchObject([{ body: { code: CODE } }])
    const [before, secret = '', after = ''] = terminal.shown.split('\u001b[?1049')
    expect(secret).toContain('JBSW')
    expect(`${before}${after}`).not.toContain('JBSW')
    expect(after).toContain('enrolled')
  })

  it('enroll leaves that screen when it is interrupted, and confirms nothing', async () => {
    await serve({ listApprovals: () => list({}, { enrolled: false, lockedUntil: null }) })
    const terminal = start(['approve', '--enroll'])
    await terminal.until('code that the app shows:')
    terminal.type(CTRL_C)
    expect(await terminal.end()).toBe(130)
    expect(terminal.shown).toContain('\u001b[?1049l')
    expect(daemon.asked('confirmEnrollment')).toEqual([])
  })

  it('enroll anew asks for a code of the old one, or with --reset for the sentence', async () => {
    await serve()
    const anew = start(['approve', '--enroll'])
    await anew.until('code of the authenticator in force:')
    expect(daemon.asked('enroll')).toEqual([])
    anew.type(`${CODE}${ENTER}`)
    await anew.until('code that the app shows:')
    anew.type(CTRL_C)
    await anew.end()
    const lost = start(['approve', '--enroll', '--reset'])
    await lost.until('sentence:')
    expect(lost.shown).toContain('the audit log will say so')
    lost.type(`replace the authenticator that approves${ENTER}`)
    await lost.until('code that the app shows:')
    lost.type(CTRL_C)
    await lost.end()
    expect(daemon.asked('enroll').map(({ body }) => body)).toEqual([
      { code: CODE },
      { reset: true, typed: 'replace the authenticator that approves' },
    ])
  })

  it('approvals --watch redraws until Ctrl-C', async () => {
    let waits = true
    await serve({
      listApprovals: () => (waits ? list() : { body: { approvals: [], nextCursor: null } }),
    })
    const terminal = start(['approvals', '--watch'])
    await terminal.until('1 waiting')
    await terminal.until(ID)
    waits = false
    await terminal.until('nothing waits for a decision')
    terminal.type(CTRL_C)
    expect(await terminal.end()).toBe(0)
    expect(terminal.shown).toContain('\u001b[?1049l')
  })
})
