import { describe, expect, it } from 'vitest'
import type { ApprovalView, GrantView, LeaseView } from '../../src/api/types.ts'
import {
  endedEarlyLine,
  foreignKeyLines,
  leaseLine,
  outcomeLine,
  staysLine,
} from '../../src/exec/lines.ts'
import { fitting, pendingLine, timeLeft } from '../../src/exec/pending.ts'

const grant = (name: string, more: Partial<GrantView> = {}) =>
  ({ name, mode: 'native', state: 'revoked', possiblyLiveUntil: null, ...more }) as GrantView

function lease(grants: readonly GrantView[], more: Partial<LeaseView> = {}): LeaseView {
  return {
    id: 'lse_x',
    state: 'revoked',
    environment: 'staging',
    template: { name: 'staging-dev', version: 3, sha256: '' },
    isolation: 'confine',
    issuedAt: '2026-03-01T11:00:00.000Z',
    expiresAt: '2026-03-01T11:30:00.000Z',
    grants,
    ...more,
  } as LeaseView
}

const now = new Date(2026, 2, 1, 12, 0, 0)
const at = (hours: number, minutes: number, day = 1) =>
  new Date(2026, 2, day, hours, minutes, 0).toISOString()

describe('the lines of exec', () => {
  it('tell the lease before the command', () => {
    const grants = [grant('railway', { mode: 'proxied' }), grant('db')]
    expect(leaseLine(lease(grants))).toBe(
      'lease lse_x · staging · template staging-dev · 30m · isolation confine · railway proxied, db native',
    )
  })

  it('never call revoked what only expires', () => {
    const aws = grant('aws', { state: 'expired', possiblyLiveUntil: at(12, 45) })
    const outcome = { confirmed: true, elapsedMs: 84 } as const
    expect(outcomeLine({ ...outcome, lease: lease([aws]) }, now)).toBe(
      'aws possibly live until 12:45:00',
    )
    expect(outcomeLine({ ...outcome, lease: lease([grant('db'), aws]) }, now)).toBe(
      'revoked in 84 ms · aws possibly live until 12:45:00',
    )
    expect(
      outcomeLine(
        { ...outcome, lease: lease([grant('db')], { state: 'expired', expiresAt: at(11, 30) }) },
        now,
      ),
    ).toBe('expired at 11:30:00')
  })

  it('say revoked, and in how long', () => {
    const outcome = { confirmed: true, elapsedMs: 84.4, lease: lease([grant('db')]) } as const
    expect(outcomeLine(outcome, now)).toBe('revoked in 84 ms')
  })

  it('name what is still being revoked, and why', () => {
    const grants = [
      grant('db', { state: 'revoking', lastError: 'connection refused' }),
      grant('api'),
      grant('s3', { state: 'stuck' }),
    ]
    expect(outcomeLine({ confirmed: false, lease: lease(grants), away: false }, now)).toBe(
      'still revoking db (connection refused), s3: see broker tokens',
    )
  })

  it('tell an early end with its reason', () => {
    const ended = (endReason: string) => endedEarlyLine('lse_x', lease([], { endReason }))
    expect(ended('ttl')).toBe(
      'lease lse_x ended early (its time is up): its credentials no longer work',
    )
    const byHolder = { endReason: 'task_ended', endNote: 'revoked by its holder' } as const
    expect(endedEarlyLine('lse_x', lease([], byHolder))).toContain(
      '(revoked by whoever holds its credential)',
    )
    expect(ended('task_ended')).toContain('(the session was lost)')
    expect(endedEarlyLine('lse_x', undefined)).toContain('(while the broker was away)')
    expect(endedEarlyLine('lse_x', lease([], { endReason: 'proxy_lost' }), true)).toBe(
      'lease lse_x ended early (its proxy ended with the daemon): its credentials no longer work, and the command is ended',
    )
  })

  it('give the date with a time on another day', () => {
    expect(staysLine(lease([], { expiresAt: at(9, 5, 2) }), now)).toBe(
      'lease lse_x stays live until 2026-03-02 09:05:00',
    )
  })

  it('tell of each key that is not the lease’s own, and how to learn more', () => {
    const key = { host: 'backboard.railway.com', fingerprint: '3f9a17c2d4e5', lastAt: at(12, 0) }
    const foreignCredentials = [
      { ...key, times: 2 },
      { ...key, host: 'api.test', fingerprint: 'ab', times: 1 },
    ]
    expect(foreignKeyLines(lease([], { foreignCredentials }))).toEqual([
      "a key that is not this lease's was tried at backboard.railway.com (fingerprint 3f9a17c2…, 2 times, refused): broker audit show lse_x",
      "a key that is not this lease's was tried at api.test (fingerprint ab, once, refused): broker audit show lse_x",
    ])
    // From a daemon that does not tell.
    expect(foreignKeyLines(lease([]))).toEqual([])
  })
})

describe('the wait for an approval', () => {
  const lapsesAt = '2026-03-01T11:10:00.000Z'
  const asked = Date.parse('2026-03-01T11:00:01.500Z')
  const approval = { id: `apr_${'0'.repeat(26)}`, lapsesAt } as ApprovalView

  it('never shows more time than there is, and none where there is none', () => {
    expect(timeLeft(lapsesAt, Date.parse(lapsesAt) + 5000)).toBe('0s')
    expect(timeLeft('nonsense', asked)).toBe('0s')
    expect(timeLeft(lapsesAt, Date.parse(lapsesAt) - 45_000)).toBe('45s')
    expect(timeLeft(lapsesAt, Date.parse(lapsesAt) - 600_000)).toBe('10m 0s')
  })

  it('is one line with the command to type', () => {
    expect(pendingLine(approval, asked)).toBe(
      `waiting for approval ${approval.id} (9m 59s left): broker approve ${approval.id}`,
    )
  })

  it('is drawn over only where it does not wrap', () => {
    for (const columns of [20, 60, 76, 77, 80, 120, 130]) {
      const line = fitting(approval, asked, columns)
      if (columns < 77) expect(line).toBeUndefined()
      else expect(line?.length).toBeLessThan(columns)
      if (line !== undefined) expect(line).toContain(`broker approve ${approval.id}`)
    }
    expect(fitting(approval, asked, 130)).toBe(`broker: ${pendingLine(approval, asked)}`)
  })
})
