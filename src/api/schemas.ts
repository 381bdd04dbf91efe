import { z } from 'zod'
import type { ClientFrame } from './session.ts'
import type { ConnectRequest, LeaseRequest } from './types.ts'

/** Checks of everything that comes in over the socket. Unknown keys are refused: a newer client's wish must not be ignored. */

const name = z.string().min(1).max(200)
const reason = z.string().max(8192)

export const leaseRequest = z.strictObject({
  environment: name,
  template: name.exactOptional(),
  ttlMs: z
    .int()
    .min(1)
    .max(31 * 86_400_000)
    .exactOptional(),
  reason: reason.exactOptional(),
  isolation: z.enum(['scrub', 'mask', 'confine']).exactOptional(),
  actor: z
    .strictObject({
      command: z.string().max(4096).exactOptional(),
      pid: z.int().min(1).exactOptional(),
    })
    .exactOptional(),
}) satisfies z.ZodType<LeaseRequest>

export const clientFrame = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('request'), request: leaseRequest }),
  z.strictObject({ type: z.literal('resume'), lease: name, secret: z.string().max(200) }),
  z.strictObject({ type: z.literal('ack') }),
  z.strictObject({ type: z.literal('started'), pid: z.int().min(1) }),
  z.strictObject({ type: z.literal('ping') }),
  z.strictObject({ type: z.literal('detach') }),
  z.strictObject({
    type: z.literal('end'),
    exitCode: z.int().nullable(),
    signal: z.string().max(20).nullable(),
  }),
]) satisfies z.ZodType<ClientFrame>

/** Exactly one way of choosing, so that a forgotten filter never means "all". */
export const revokeRequest = z.union([
  z.strictObject({ ids: z.array(name).min(1).max(10_000), reason: reason.exactOptional() }),
  z.strictObject({ environment: name, reason: reason.exactOptional() }),
  z.strictObject({ all: z.literal(true), reason: reason.exactOptional() }),
])

export const connectRequest = z.strictObject({
  provider: name,
  name,
  secret: z.string().max(65_536).exactOptional(),
  settings: z.record(z.string().max(200), z.json()),
  check: z.boolean(),
}) satisfies z.ZodType<ConnectRequest>

const code = z.string().max(40)

/** Exactly one proof: a code or a typed name. */
export const approveRequest = z.union([
  z.strictObject({ code }),
  z.strictObject({ typed: z.string().max(500) }),
])

export const denyRequest = z.strictObject({ reason: reason.exactOptional() })

export const enrollRequest = z.strictObject({ code: code.exactOptional() })

export const confirmEnrollmentRequest = z.strictObject({ code })

export const checkRequest = z.strictObject({ text: z.string() })

export const testRequest = z.strictObject({
  text: z.string(),
  claims: z.record(z.string(), z.json()),
  audience: z.string().min(1).max(2000).exactOptional(),
})

export const applyRequest = z.strictObject({ text: z.string(), baseVersion: z.int().min(0) })

export const unlockRequest = z.strictObject({ passphrase: z.string().min(1).max(4096) })

export const tokenForm = z.looseObject({ token: z.string().min(1).max(16_384) })

const count = z.coerce.number().int().min(1)

export const leaseQuery = z.strictObject({
  state: z.enum(['live', 'all']).default('live'),
  environment: name.optional(),
  limit: count.max(1000).default(100),
  cursor: name.optional(),
})

/** `?probe=1`: also try out how narrow the grants are. */
export const doctorQuery = z.strictObject({
  probe: z.literal('1').optional().transform(Boolean),
})

export const approvalQuery = z.strictObject({
  state: z.enum(['pending', 'all']).default('pending'),
  lease: name.optional(),
  limit: count.max(1000).default(100),
  cursor: name.optional(),
})

export const auditQuery = z.strictObject({
  since: z.iso.datetime({ offset: true }).optional(),
  lease: name.optional(),
  limit: count.max(5000).default(500),
  cursor: z.coerce.number().int().min(0).default(0),
})
