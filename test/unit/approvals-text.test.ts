import { stripVTControlCharacters } from 'node:util'
import { describe, expect, it } from 'vitest'
import type { ApprovalQuestion } from '../../src/api/types.ts'
import { approvalRows, decidedText, questionText } from '../../src/cli/approval-text.ts'
import { qrLines } from '../../src/cli/qr.ts'
import { type Look, PLAIN, visible } from '../../src/cli/terminal.ts'
import { questionView } from '../../src/daemon/approval-view.ts'
import { approvalId, approvalOf, leaseId, START } from '../fixtures/approvals.ts'

const LIGHT_ON_DARK = '\u001b[38;5;231;48;5;16m'
const TTY: Look = { terminal: true, colour: true, columns: 160 }

function question(
  changes: Parameters<typeof approvalOf>[1] = {},
  waiting = false,
): ApprovalQuestion {
  return questionView(approvalOf(1, changes), waiting)
}

/** Names that an attacker would give to things, and the characters that must not get through. */
const NASTY: readonly (readonly [string, string])[] = [
  ['ends the line', 'a\nb'],
  ['goes back to its start', 'a\rb'],
  ['is a tab', 'a\tb'],
  ['other line ends', 'a\u0085b\u2028c\u2029d\u000be\u000cf'],
  ['colours', 'a\u001b[31mb'],
  ['sets the title of the terminal', '\u001b]0;x\u0007'],
  ['is a link', '\u001b]8;;https://evil\u001b\\x'],
  ['8-bit controls', 'a\u009b31mb'],
  ['turns the direction', 'a\u202eb\u202c'],
  ['isolates the direction', 'a\u2067b\u2069'],
  ['marks the direction', 'a\u200eb\u200fc\u061cd'],
  ['no width', 'pg\u200bda\u200cta\u200d\ufeff\u2060'],
  ['soft hyphen', 'pg\u00addata'],
  ['tags', 'pg\u{e0041}\u{e0042}'],
  ['letters that show nothing', '\u3164\u115f\u1160\uffa0\u2800'],
  ['joins that show nothing', 'a\u034fb\u17b4c\u180bd'],
  ['variants that show nothing', 'a\ufe0fb\ufe00c\u{e0100}'],
  ['spaces that are none', 'a\u00a0b\u2003c\u3000d'],
  ['private ones', 'a\ue000b\u{f0000}'],
  ['unassigned ones', 'a\uffffb'],
  ['half a character', 'a\ud800b'],
  ['too many accents', `a${'\u0301'.repeat(40)}`],
]

const HIDDEN =
  /[\p{C}\p{Zl}\p{Zp}\u00a0\u2003\u3000\u3164\u115f\u1160\uffa0\u2800]|\ufe00|\u{e0100}|\u034f|\u17b4|\u180b|(?<!\p{Extended_Pictographic})\ufe0f|\p{M}{5}/u

describe('words that others chose', () => {
  it.each(NASTY)('show what they hold: %s', (_, text) => {
    expect(text).toMatch(HIDDEN)
    expect(visible(text)).not.toMatch(HIDDEN)
    expect(visible(text)).toContain('\\u')
    expect(visible(visible(text))).toBe(visible(text))
  })

  it.each(['pgdata', 'données', 'données', '数据', 'ข้อมูล', 'हिन्दी', '❤️ prod', '🚀', 'a b'])(
    'are left alone where they are plain: %s',
    (text) => expect(visible(text)).toBe(text),
  )

  it.each(NASTY)('cannot disguise a question, wherever they stand: %s', (_, text) => {
    const place = { id: text, name: text }
    const asked = question({
      reason: text,
      summary: text,
      rule: text,
      environment: text,
      template: text,
      principal: { kind: 'local', id: text },
      actor: { command: text, pid: 1 },
      operations: [{ name: text, risk: 'write' }],
      targets: [{ kind: text, ...place, environments: [place], notes: [text], renamed: true }],
    })
    const clean = questionText(question({ targets: [] }), START, PLAIN).length
    const lines = questionText(asked, START, PLAIN)
    expect(lines).toHaveLength(clean + 4)
    for (const line of [...lines, ...approvalRows([asked], START, TTY).slice(1)]) {
      const ours = stripVTControlCharacters(line)
      expect(ours).not.toMatch(HIDDEN)
    }
  })

  it('are cut to what a person reads', () => {
    const long = 'x'.repeat(10_000)
    const asked = question({ reason: long, summary: long, actor: { command: long, pid: 1 } })
    for (const line of questionText(asked, START, PLAIN)) expect(line.length).toBeLessThan(700)
  })

  it('stand in quotes, so that they cannot pass for ours', () => {
    const asked = question({ reason: 'x · approved by admin' })
    expect(questionText(asked, START, PLAIN).join('\n')).toContain(
      '"x · approved by admin" (its own words)',
    )
  })
})

describe('a question to a person', () => {
  const shown = (changes: Parameters<typeof approvalOf>[1] = {}) =>
    questionText(question(changes), START + 60_000, PLAIN).join('\n')

  it('says who wants what, why, where, under which rule, and for how long', () => {
    const text = shown()
    for (const part of [
      approvalId(1),
      '9m left',
      'one exact request to "railway", under grant "cloud"',
      'asked 1m ago',
      '"alice"',
      '"agent" (pid 4242)',
      '"fix login"',
      leaseId(1),
      '"staging"',
      'template "dev"',
      '"approve: volumeDelete"',
      'delete volume pgdata',
      '"volumeDelete" (destructive: destroys)',
    ]) {
      expect(text).toContain(part)
    }
  })

  it('names each target with its kind, name, id and every environment, also unnamed ones', () => {
    expect(shown()).toContain('volume "pgdata", id "vol-1"')
    expect(shown()).toContain('in "staging" (id "env-1") and id "env-2"')
    expect(shown()).toContain('"3 backups"')
    expect(shown()).not.toContain('renamed')
  })

  it('warns of a name that the task itself chose, of none, and of no known place', () => {
    const [target] = approvalOf(1).targets
    if (!target) throw new Error('no target')
    expect(shown({ targets: [{ ...target, renamed: true }] })).toContain(
      '! renamed by this lease: go by the id, not by the name',
    )
    expect(shown({ targets: [{ ...target, name: null, environments: [] }] })).toMatch(
      /volume name unknown, id "vol-1"\n.*in no known environment/,
    )
  })

  it('calls an unknown risk unknown, and says so when no reason was given', () => {
    const operations = [{ name: 'x', risk: 'curious' as 'read' }]
    expect(shown({ operations, reason: null })).toContain('(curious: unknown to this version)')
    expect(shown({ reason: null })).toContain('no reason given')
  })
})

describe('after the decision', () => {
  const next = (changes: Parameters<typeof approvalOf>[1], waiting: boolean) =>
    decidedText(question(changes, waiting), START).join('\n')

  it('says what happens next', () => {
    const id = approvalId(1)
    expect(next({ state: 'approved' }, true)).toBe(`${id} approved: the held request goes on`)
    expect(next({ state: 'approved' }, false)).toMatch(
      /approved: the identical request passes once, if it is retried before \d\d:\d\d:\d\d$/,
    )
    expect(next({ state: 'approved', kind: 'lease' }, true)).toContain('the task gets its lease')
    expect(next({ state: 'approved', kind: 'lease' }, false)).toContain('nobody waits for it')
    expect(next({ state: 'denied' }, true)).toBe(`${id} denied: whoever waits is told`)
    expect(next({ state: 'denied', kind: 'lease' }, true)).toContain('nothing is minted')
  })
})

describe('the list', () => {
  it('is plain records for a pipe and columns for a terminal', () => {
    const decided = { ...question({ state: 'denied' }), id: approvalId(2) }
    const rows = approvalRows([question(), decided], START + 60_000, PLAIN)
    const alice = 'alice: agent'
    expect(rows).toEqual([
      [approvalId(1), '9m', alice, leaseId(1), 'volumeDelete', 'pgdata'].join('\t'),
      [approvalId(2), 'denied', alice, leaseId(1), 'volumeDelete', 'pgdata'].join('\t'),
    ])
    expect(approvalRows([question()], START, TTY)[0]).toContain('OPERATION')
  })
})

describe('the QR code', () => {
  const uri = `otpauth://totp/broker:alice%40ab12cd34?secret=${'A'.repeat(32)}&issuer=broker`

  it('says so instead of showing a part of it where it does not fit', async () => {
    expect(await qrLines(uri, { ...TTY, columns: 30 })).toEqual([
      '(the terminal is too small for the QR code)',
    ])
  })

  it('fits a terminal of 24 lines, and is dark on light with and without colours', async () => {
    const lines = await qrLines(uri, TTY)
    expect(lines.length).toBeLessThanOrEqual(21)
    const plain = await qrLines(uri, { ...TTY, colour: false })
    expect(lines.map(stripVTControlCharacters)).toEqual(plain)
    for (const edge of [plain[0] ?? '', plain[3]?.slice(0, 2) ?? '']) expect(edge).toMatch(/^█+$/)
    for (const line of lines) expect(line.startsWith(LIGHT_ON_DARK)).toBe(true)
  })
})
