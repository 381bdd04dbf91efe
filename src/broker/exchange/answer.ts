import type { GrantDetail } from '../../core/details.ts'
import type { Lease } from '../../core/lease.ts'
import type { LeaseId } from '../../lib/ids.ts'
import { Secret } from '../../lib/secret.ts'

/** What an exchange answers with (RFC 8693 §2.2.1). */
export interface ExchangeAnswer {
  readonly lease: LeaseId
  /** `bearer`: the credential itself. `lease`: the lease's own, to claim the credentials with, once. */
  readonly kind: 'bearer' | 'lease'
  readonly token: Secret
  /** Milliseconds since the epoch. */
  readonly expiresAt: number
  readonly template: string
  /** As granted, operation by operation. */
  readonly details: readonly GrantDetail[]
  /** It was given before: the same request came again. */
  readonly repeated: boolean
}

export function answerOf(
  lease: Lease,
  kind: ExchangeAnswer['kind'],
  token: Secret,
  expiresAt: number,
): ExchangeAnswer {
  return {
    lease: lease.id,
    kind,
    token,
    expiresAt,
    template: lease.template.name,
    details: lease.grants.map(({ name, operations }) => ({
      type: 'broker_grant',
      identifier: name,
      actions: operations,
    })),
    repeated: false,
  }
}

interface KeptAnswer {
  readonly kind: ExchangeAnswer['kind']
  readonly token: string
  readonly expiresAt: number
}

/** What is kept of it, to be sealed: all but what the lease's own row says. */
export function keptOf({ kind, token, expiresAt }: ExchangeAnswer): Secret {
  const kept: KeptAnswer = { kind, token: token.reveal(), expiresAt }
  return new Secret(JSON.stringify(kept))
}

export function fromKept(lease: Lease, kept: Secret): ExchangeAnswer {
  const { kind, token, expiresAt } = JSON.parse(kept.reveal()) as KeptAnswer
  return { ...answerOf(lease, kind, new Secret(token), expiresAt), repeated: true }
}
