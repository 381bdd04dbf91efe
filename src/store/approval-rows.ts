import type { Approval, ApprovalId, ApprovalTarget } from '../core/approval.ts'
import { canonicalJson } from '../lib/json.ts'
import type { ApprovalRow } from './schema.ts'

/** Approvals as rows, both ways. */

export function approvalFromRow(row: ApprovalRow): Approval {
  return {
    id: row.id as ApprovalId,
    kind: row.kind as Approval['kind'],
    lease: row.lease,
    environment: row.environment,
    template: row.template,
    principal: { kind: row.principal_kind as Approval['principal']['kind'], id: row.principal_id },
    actor: { command: row.actor_command, pid: row.actor_pid },
    reason: row.reason,
    grant: row.grant_name,
    provider: row.provider,
    operations: JSON.parse(row.operations) as Approval['operations'],
    summary: row.summary,
    targets: JSON.parse(row.targets) as ApprovalTarget[],
    rule: row.rule,
    confirm: row.confirm as Approval['confirm'],
    typed: row.typed,
    binding: row.binding,
    state: row.state as Approval['state'],
    createdAt: row.created_at,
    lapsesAt: row.lapses_at,
    decidedAt: row.decided_at,
    decidedBy: row.decided_by,
    note: row.note,
    usedAt: row.used_at,
  }
}

export function approvalRow(approval: Approval): ApprovalRow {
  return {
    id: approval.id,
    kind: approval.kind,
    lease: approval.lease,
    environment: approval.environment,
    template: approval.template,
    principal_kind: approval.principal.kind,
    principal_id: approval.principal.id,
    actor_command: approval.actor.command,
    actor_pid: approval.actor.pid,
    reason: approval.reason,
    grant_name: approval.grant,
    provider: approval.provider,
    operations: canonicalJson(approval.operations.map(({ name, risk }) => ({ name, risk }))),
    summary: approval.summary,
    targets: canonicalJson(approval.targets.map(plainTarget)),
    rule: approval.rule,
    confirm: approval.confirm,
    typed: approval.typed,
    binding: approval.binding,
    created_at: approval.createdAt,
    lapses_at: approval.lapsesAt,
    ...decisionColumns(approval),
  }
}

function plainTarget(target: ApprovalTarget) {
  return { ...target, environments: target.environments.map(({ id, name }) => ({ id, name })) }
}

/** The columns of an approval that may change after it was inserted. */
export function decisionColumns(approval: Approval) {
  return {
    state: approval.state,
    decided_at: approval.decidedAt,
    decided_by: approval.decidedBy,
    note: approval.note,
    used_at: approval.usedAt,
  }
}

export type ApprovalChange = { readonly id: string } & ReturnType<typeof decisionColumns>
