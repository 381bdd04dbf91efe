import { isApprovalId } from '../core/approval.ts'
import { BrokerError } from '../errors.ts'

/** Throws `usage` for what cannot be one. */
export function approvalIdFrom(text: string): string {
  if (isApprovalId(text)) return text
  throw new BrokerError('usage', `"${text.slice(0, 40)}" is not the id of an approval`, {
    hint: 'broker approvals lists the ids; they look like apr_01k9x2m4v7e8r5t6y7n8p9q0a1',
  })
}
