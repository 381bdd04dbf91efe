import type { EnvironmentSource, Need, Operation, Resource } from '../../../core/guard.ts'
import { malformed, quote, tooLarge, unknown } from '../../../core/refused.ts'
import { META_FIELDS, riskOf } from '../catalogue/catalogue.ts'
import { type OperationFacts, operationFacts } from '../catalogue/operations.ts'
import type { Scope } from '../catalogue/scopes.ts'
import { type OperationKind, rootType } from '../catalogue/shapes.ts'
import type { ChosenDocument } from './document.ts'
import { locate } from './environment.ts'
import { LIMITS } from './limits.ts'
import { judgePayload } from './payload.ts'
import { follow } from './reach.ts'
import { type Below, judgeBelowRoot, type RootJudging } from './root-selections.ts'
import { eachField, type KnownField } from './selections.ts'
import { operationKey, resourceKey, settle, sourceKey } from './settle.ts'
import { stagedNeed } from './staged-need.ts'
import type { Variables } from './values.ts'

export interface Judged {
  readonly operations: readonly Operation[]
  readonly needs: readonly Need[]
}

/**
 * Judges every root field of the chosen operation, and everything below each of them. `below`: what is known
 * of this very document's selections, and what becomes known.
 */
export function judgeOperations(
  document: ChosenDocument,
  variables: Variables,
  below: Below | null,
): Judged {
  const { operation, fragments } = document
  const kind: OperationKind = operation.operation
  if ((operation.directives ?? []).length > 0) throw malformed('the operation has a directive')
  const judging: RootJudging = { fragments, variables, seen: { count: 0 }, below }
  const operations: Operation[] = []
  const needs: Need[] = []
  let roots = 0
  eachField(operation.selectionSet, rootType(kind), judging, (field) => {
    roots += 1
    if (roots > LIMITS.rootFields) throw tooLarge('the request runs too many operations')
    const found = judgeRoot(field, kind, judging)
    operations.push(...found)
    needs.push(...stagedNeed(field, found[0], document))
  })
  // The specification allows a subscription one root field (October 2021, §5.2.3.1).
  if (kind === 'subscription' && roots !== 1) throw malformed('a subscription has one root field')
  return { operations: settle(operations, operationKey), needs }
}

function judgeRoot(
  field: KnownField,
  kind: OperationKind,
  judging: RootJudging,
): readonly Operation[] {
  const name = field.node.name.value
  if (META_FIELDS.includes(name)) {
    judgeMeta(field, judging)
    return [named(name, [], [{ from: 'lease' }])]
  }
  const facts = operationFacts(kind, name)
  if (!facts) throw unknown(`${kind} ${quote(name)}`, name)
  const located = locate(name, facts, field.args)
  const payload = judgePayload(name, field.args)
  const resources = [...located.resources, ...(payload.resources ?? [])]
  const environments = [...located.environments, ...(payload.environments ?? [])]
  const names = new Set([name])
  for (const risk of payload.risks) names.add(`${name}:${risk}`)
  const { type } = field.shape
  const root = { type: rootType(kind), scope: scopeAt(facts), atRoot: true, namesOnly: false }
  const reach = type === null ? null : follow(root, name, type)
  judgeBelowRoot(field, reach, judging, (secret) => {
    // Whoever may read secrets by this very operation may read its answer.
    if (facts.risk !== 'secret') names.add(secret)
  })
  return [...names].map((each) => named(each, resources, environments))
}

/** The schema describes itself; its own types are in the shapes like any others. */
function judgeMeta(field: KnownField, judging: RootJudging): void {
  const { type } = field.shape
  const reach = { type: type ?? '', scope: 'part' as const, atRoot: false, namesOnly: false }
  judgeBelowRoot(field, type === null ? null : reach, judging, () => {})
}

/** Where a root field stands before its first edge. */
function scopeAt({ about, places }: OperationFacts): Scope {
  if (about === 'account') return 'account'
  if (about === 'lease') return 'environment'
  const bound = places.some(({ match }) => match === 'argument' || match === 'environment')
  return bound ? 'environment' : 'project'
}

function named(
  name: string,
  resources: readonly Resource[],
  environments: readonly EnvironmentSource[],
): Operation {
  return {
    name,
    risk: riskOf(name),
    resources: settle(resources, resourceKey),
    environments: settle(environments, sourceKey),
  }
}
