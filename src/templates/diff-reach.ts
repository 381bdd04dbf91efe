import type { Change } from '../api/types.ts'
import { NEVER_BY_GLOB, RISKS, type Risk } from '../core/risk.ts'
import type { Reach } from './reach.ts'
import { printable } from './words.ts'

/** Harmless operations are shortened in a list; what a glob may not reach is always spelt out. */
const SHOWN = 12

/** What one grant may do in one environment now, and could not, or no longer may. */
export function diffReach(
  where: { readonly template: string; readonly environment: string; readonly grant: string },
  before: Reach | undefined,
  after: Reach | undefined,
): readonly Change[] {
  const riskOf = (operation: string) => after?.riskOf(operation) ?? before?.riskOf(operation)
  const say = (effect: Change['effect'], verb: string, operations: readonly string[], end = '') =>
    byRisk(operations, riskOf).map(([risk, names]): Change => {
      const list = listed(names, risk)
      const kind = risk ? ` (${risk})` : ''
      const { template, grant, environment } = where
      const message = `template ${template}: ${grant} ${verb} ${list}${end} in ${environment}${kind}`
      return { effect, message }
    })
  // Operations of two providers have nothing in common but perhaps their names.
  const same = before && after && before.provider === after.provider && before.exact === after.exact
  const was = same ? before : undefined
  return [
    ...say('widens', 'may now', added(after?.allow, was?.allow, was?.approve)),
    ...say('widens', 'may now', added(after?.approve, was?.allow, was?.approve), ' with approval'),
    ...say(
      'widens',
      'no longer needs approval for',
      common(after?.allow, was?.approve, was?.allow),
    ),
    // As patterns, what one gave up another may still allow: only the catalogue could tell.
    ...(after?.exact
      ? []
      : say('widens', 'no longer names', added(was?.approve, after?.approve), ' for approval')),
    ...say('widens', 'is no longer denied', added(was?.deny, after?.deny)),
    ...say('narrows', 'now needs approval for', common(after?.approve, was?.allow, after?.allow)),
    ...say('narrows', 'is now denied', added(was && after?.deny, was?.deny)),
    ...say('narrows', 'may no longer', added(before?.allow, after?.allow, after?.approve)),
    ...say('narrows', 'may no longer', added(before?.approve, after?.allow, after?.approve)),
  ]
}

type Names = ReadonlySet<string> | undefined

function added(now: Names, ...had: readonly Names[]): readonly string[] {
  return [...(now ?? [])].filter((name) => !had.some((set) => set?.has(name)))
}

function common(now: Names, other: Names, not: Names): readonly string[] {
  return [...(now ?? [])].filter((name) => other?.has(name) && !not?.has(name))
}

function byRisk(
  operations: readonly string[],
  riskOf: (operation: string) => Risk | undefined,
): readonly (readonly [Risk | undefined, readonly string[]])[] {
  return [...[...RISKS].reverse(), undefined]
    .map((risk) => [risk, operations.filter((name) => riskOf(name) === risk)] as const)
    .filter(([, names]) => names.length > 0)
}

function listed(names: readonly string[], risk: Risk | undefined): string {
  const spelt = risk === undefined || NEVER_BY_GLOB.has(risk) ? names.length : SHOWN
  const rest = names.length - spelt
  const shown = names.slice(0, spelt).map(printable).join(', ')
  return rest > 0 ? `${shown} and ${rest} more` : shown
}
