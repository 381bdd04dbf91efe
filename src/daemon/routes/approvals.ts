import { z } from 'zod'
import {
  approvalQuery,
  approveRequest,
  confirmEnrollmentRequest,
  denyRequest,
  enrollRequest,
} from '../../api/schemas.ts'
import type { ApprovalList, ApprovalQuestion, Enrollment } from '../../api/types.ts'
import { isLocked, readApprover } from '../../broker/approval/approver.ts'
import { approvalById } from '../../broker/approval/await.ts'
import { approve, deny } from '../../broker/approval/decide.ts'
import { Enrolling, type Entitlement } from '../../broker/approval/enroll.ts'
import type { Proof } from '../../broker/approval/prove.ts'
import { type Caller, type Context, principalOf } from '../../broker/context.ts'
import { checkReason, instant } from '../../broker/record.ts'
import { Secret } from '../../lib/secret.ts'
import { questionView } from '../approval-view.ts'
import type { Server } from '../server.ts'
import { approvalView } from '../views.ts'

/** Nothing, a code of the authenticator in force, or the sentence that gives it up. */
const enrolment = z.union([
  enrollRequest,
  z.strictObject({ reset: z.literal(true), typed: z.string().max(500) }),
])

export function addApprovalRoutes(server: Server, context: Context): void {
  const enrolling = new Enrolling(context)

  server.add('listApprovals', async ({ request }): Promise<ApprovalList> => {
    const { state, lease, limit, cursor } = approvalQuery.parse(request.query)
    const pending = state === 'pending'
    const query = { pending, lease, limit, before: cursor }
    const approvals = await context.store.read.approvals(query)
    const last = approvals.at(-1)
    return {
      approvals: approvals.map(approvalView),
      nextCursor: last && approvals.length === limit ? last.id : null,
      approver: await approverView(context),
    }
  })

  server.add('showApproval', async ({ request }): Promise<ApprovalQuestion> => {
    const approval = await approvalById(context, idOf(request.params))
    return questionView(approval, context.approvals.isAwaited(approval.id))
  })

  server.add('approve', async ({ caller, request }): Promise<ApprovalQuestion> => {
    const id = idOf(request.params)
    const proof = proofOf(approveRequest.parse(request.body))
    // Before it is told: those who waited are gone afterwards.
    const waiting = context.approvals.isAwaited(id)
    return questionView(await approve(context, id, proof, who(caller)), waiting)
  })

  server.add('deny', async ({ caller, request }): Promise<ApprovalQuestion> => {
    const id = idOf(request.params)
    const reason = checkReason(denyRequest.parse(request.body).reason)
    const waiting = context.approvals.isAwaited(id)
    return questionView(await deny(context, id, reason, who(caller)), waiting)
  })

  server.add('enroll', async ({ caller, request, reply }): Promise<Enrollment> => {
    const wish = enrolment.parse(request.body ?? {})
    const { uri, seed } = await enrolling.begin(entitlementOf(wish), who(caller))
    reply.code(201).header('cache-control', 'no-store')
    return { uri: uri.reveal(), secret: seed.reveal() }
  })

  server.add(
    'confirmEnrollment',
    async ({ caller, request }): Promise<ApprovalList['approver']> => {
      const { code } = confirmEnrollmentRequest.parse(request.body)
      await enrolling.confirm(new Secret(code), who(caller))
      return approverView(context)
    },
  )
}

const who = (caller: Caller) => principalOf(caller).id
const idOf = (params: unknown) => (params as { id: string }).id

async function approverView(context: Context): Promise<ApprovalList['approver']> {
  const approver = await readApprover(context.store.read)
  const locked = isLocked(approver, context.now())
  return {
    enrolled: approver.enrolledAt !== null,
    lockedUntil: locked ? instant(approver.lockedUntil) : null,
  }
}

function proofOf(wish: z.infer<typeof approveRequest>): Proof {
  if ('code' in wish) return { kind: 'code', code: new Secret(wish.code) }
  return { kind: 'typed', typed: wish.typed }
}

function entitlementOf(wish: z.infer<typeof enrolment>): Entitlement {
  if ('reset' in wish) return { kind: 'reset', typed: wish.typed }
  return wish.code === undefined ? { kind: 'none' } : { kind: 'code', code: new Secret(wish.code) }
}
