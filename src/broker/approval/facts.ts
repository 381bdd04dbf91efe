import type { Approval } from '../../core/approval.ts'
import type { JsonObject } from '../../lib/json.ts'

/** What the entry says of a question to a person: all that the person is shown, and what it is bound to. */
export function approvalFacts(approval: Approval): JsonObject {
  return {
    approval: approval.id,
    kind: approval.kind,
    environment: approval.environment,
    template: approval.template,
    principal: { ...approval.principal },
    actor: { ...approval.actor },
    reason: approval.reason,
    grant: approval.grant,
    provider: approval.provider,
    operations: approval.operations.map(({ name, risk }) => ({ name, risk })),
    summary: approval.summary,
    targets: approval.targets.map((target) => ({
      ...target,
      environments: target.environments.map(({ id, name }) => ({ id, name })),
    })),
    rule: approval.rule,
    confirm: approval.confirm,
    binding: approval.binding,
    lapsesAt: new Date(approval.lapsesAt).toISOString(),
  }
}
