import { describe, expect, it } from 'vitest'
import type { GrantView, LeaseView } from '../../src/api/types.ts'
import { endedEarlyLine, leaseLine, outcomeLine, staysLine } from '../../src/exec/lines.ts'

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
    expect(outcomeLine({ confirmed: false, lease: lease(grants) }, now)).toBe(
      'still revoking db (connection refused), s3: see broker tokens',
    )
  })

  it('tell an early end with its reason', () => {
    const ended = (endReason: string) => endedEarlyLine('lse_x', lease([], { endReason }))
    expect(ended('ttl')).toBe(
      'lease lse_x ended early (its time is up): its credentials no longer work',
    )
    expect(endedEarlyLine('lse_x', undefined)).toContain('(while the broker was away)')
  })

  it('give the date with a time on another day', () => {
    expect(staysLine(lease([], { expiresAt: at(9, 5, 2) }), now)).toBe(
      'lease lse_x stays live until 2026-03-02 09:05:00',
    )
  })
})
