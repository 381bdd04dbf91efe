import type { ApprovalQuestion, ApprovalView } from '../api/types.ts'
import { age, clock, left } from './moments.ts'
import { type Cell, type Column, table } from './table.ts'
import { type Look, paint, type Style, visible } from './terminal.ts'

export const NO_APPROVALS: readonly string[] = ['nothing waits for a decision']

const COLUMNS: readonly Column[] = [
  { title: 'APPROVAL' },
  { title: 'LEFT' },
  { title: 'WHO', least: 8 },
  { title: 'LEASE' },
  { title: 'OPERATION', least: 12 },
  { title: 'TARGETS', least: 12 },
]

const STATE_STYLE: Readonly<Record<string, Style>> = {
  pending: 'warn',
  approved: 'good',
  used: 'good',
  denied: 'bad',
}

/** A row an approval. What is decided shows how, instead of the time that is left. */
export function approvalRows(
  approvals: readonly ApprovalView[],
  now: number,
  look: Look,
): string[] {
  return table(
    COLUMNS,
    approvals.map((approval) => cells(approval, now)),
    look,
  )
}

function cells(approval: ApprovalView, now: number): Cell[] {
  const { id, state, lapsesAt, lease, principal, actor, operations, targets } = approval
  const names = targets.map((target) => target.name ?? target.id)
  const what = operations.map(({ name }) => name).join(', ')
  return [
    { text: id },
    {
      text: state === 'pending' ? left(lapsesAt, now) : state,
      style: STATE_STYLE[state] ?? 'dim',
    },
    { text: clip([principal.id, actor.command ?? []].flat().join(': ')) },
    { text: lease },
    { text: clip(approval.kind === 'lease' ? `lease for ${approval.environment}` : what) },
    { text: clip(names.join(', ') || '-') },
  ]
}

/** What it means that an operation has this risk, in words. */
const RISK: Readonly<Record<string, string>> = {
  read: 'reads',
  secret: 'reads credentials',
  write: 'changes',
  execute: 'makes code run',
  destructive: 'destroys',
  admin: 'widens access',
}
const ALARMING = new Set(['secret', 'execute', 'destructive', 'admin'])

/** All that a person has to know before they decide. Names stand in quotes, with their ids. */
export function questionText(question: ApprovalQuestion, now: number, look: Look): string[] {
  const { id, kind, lapsesAt, principal, actor, reason, lease, environment, template } = question
  const line = (name: string, text: string) => `  ${paint(look, 'dim', name.padEnd(10))} ${text}`
  const pid = actor.pid === null ? '' : ` (pid ${actor.pid})`
  const command = actor.command === null ? 'unknown' : `${quoted(actor.command)}${pid}`
  return [
    `${paint(look, 'strong', visible(id))} · ${left(lapsesAt, now)} left · asked ${age(question.createdAt, now)} ago`,
    line('for', kind === 'lease' ? 'a lease, before anything is minted' : requestText(question)),
    line('who', quoted(principal.id)),
    line('command', command),
    line('why', reason === null ? 'no reason given' : `${quoted(reason)} (its own words)`),
    line('lease', `${visible(lease)} · ${quoted(environment)} · template ${quoted(template)}`),
    line('rule', quoted(question.rule)),
    line('would', paint(look, 'strong', clip(visible(question.summary), 600))),
    ...question.operations.map((operation) => line('operation', operationText(operation, look))),
    ...question.targets.flatMap((target) => targetLines(target, look, line)),
  ]
}

function requestText({ provider, grant }: ApprovalQuestion): string {
  const place = provider === null ? '' : ` to ${quoted(provider)}`
  return `one exact request${place}${grant === null ? '' : `, under grant ${quoted(grant)}`}`
}

function operationText(operation: ApprovalView['operations'][number], look: Look): string {
  const risk = `${visible(operation.risk)}: ${RISK[operation.risk] ?? 'unknown to this version'}`
  const style = ALARMING.has(operation.risk) || !(operation.risk in RISK) ? 'bad' : 'dim'
  return `${quoted(operation.name)} ${paint(look, style, `(${risk})`)}`
}

type Target = ApprovalView['targets'][number]

function targetLines(
  target: Target,
  look: Look,
  line: (name: string, text: string) => string,
): string[] {
  const { kind, id, name, environments, notes, renamed } = target
  const title = name === null ? 'name unknown' : paint(look, 'strong', quoted(name))
  const places = environments.map((one) =>
    one.name === null ? `id ${quoted(one.id)}` : `${quoted(one.name)} (id ${quoted(one.id)})`,
  )
  return [
    line('target', `${clip(visible(kind))} ${title}, id ${quoted(id)}`),
    line('', places.length === 0 ? 'in no known environment' : `in ${places.join(' and ')}`),
    ...notes.map((note) => line('', quoted(note))),
    ...(renamed
      ? [line('', paint(look, 'warn', '! renamed by this lease: go by the id, not by the name'))]
      : []),
  ]
}

/** What happens now. */
export function decidedText(decided: ApprovalQuestion, now: number): string[] {
  const id = visible(decided.id)
  if (decided.state !== 'approved') {
    const told = decided.waiting ? 'whoever waits is told' : 'a retry of the same is refused too'
    return [`${id} denied: ${decided.kind === 'lease' ? 'nothing is minted' : told}`]
  }
  if (decided.kind === 'lease') {
    return [
      decided.waiting
        ? `${id} approved: the task gets its lease and starts`
        : `${id} approved, but nobody waits for it any more: the task has to be started again`,
    ]
  }
  return [
    decided.waiting
      ? `${id} approved: the held request goes on`
      : `${id} approved: the identical request passes once, if it is retried before ${clock(decided.lapsesAt, now)}`,
  ]
}

const MOST = 200

/** Foreign words: in quotes, every character shown, and not longer than a person reads. */
function quoted(text: string): string {
  return `"${clip(visible(text))}"`
}

function clip(text: string, most = MOST): string {
  const characters = [...text]
  return characters.length <= most ? text : `${characters.slice(0, most - 1).join('')}…`
}
