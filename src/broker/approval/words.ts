import type { ApprovalTarget } from '../../core/approval.ts'
import { BrokerError } from '../../errors.ts'
import type { NewApproval } from './request.ts'

/** In characters. Names come from outside and may be of any length. */
const LIMITS = { name: 500, sentence: 4096 } as const

/** What one person can check in one go. */
const MAX_THINGS = 100

/**
 * The same question in words that can be stored and shown: well-formed text of bounded length, and
 * something to type that can be typed. Throws `denied` for more than anybody would read.
 */
export function plainWords(wanted: NewApproval): NewApproval {
  const { operations, targets } = wanted
  if (operations.length > MAX_THINGS || targets.length > MAX_THINGS) {
    throw new BrokerError(
      'denied',
      `this touches more than ${MAX_THINGS} things: nobody could check them all`,
      { hint: 'ask for fewer at a time' },
    )
  }
  const { actor, reason, principal } = wanted
  return {
    ...wanted,
    principal: { ...principal, id: name(principal.id) },
    actor: { ...actor, command: actor.command && sentence(actor.command) },
    reason: reason && sentence(reason),
    summary: sentence(wanted.summary),
    rule: sentence(wanted.rule),
    operations: operations.map((one) => ({ ...one, name: name(one.name) })),
    targets: targets.map(plainTarget),
    typed: typedFor(wanted),
  }
}

function plainTarget(target: ApprovalTarget): ApprovalTarget {
  return {
    ...target,
    kind: name(target.kind),
    id: name(target.id),
    name: target.name && name(target.name),
    environments: target.environments.map((one) => ({
      id: name(one.id),
      name: one.name && name(one.name),
    })),
    notes: target.notes.map(sentence),
  }
}

/**
 * A name that the task itself chose, or that nobody could type, proves nothing: then the id of that
 * target, and where that is no better the environment's name.
 */
function typedFor({ typed, targets, environment }: NewApproval): string {
  const target = targets.find((one) => one.name === typed || one.id === typed)
  const given = target?.renamed && target.name === typed ? undefined : typed
  return [given, target?.id].find((text) => text !== undefined && canBeTyped(text)) ?? environment
}

function canBeTyped(text: string): boolean {
  return (
    text.length <= 200 &&
    /^[\p{L}\p{N}\p{P}\p{S}](?:[\p{L}\p{N}\p{P}\p{S} ]*[\p{L}\p{N}\p{P}\p{S}])?$/u.test(text)
  )
}

const name = (text: string) => cut(text, LIMITS.name)
const sentence = (text: string) => cut(text, LIMITS.sentence)

function cut(text: string, most: number): string {
  const whole = text.toWellFormed()
  return whole.length <= most ? whole : `${whole.slice(0, most).toWellFormed()}… (cut)`
}
