import { narrowOperations, type ResolvedRule } from '../core/decide.ts'
import { type GrantDetail, refusedDetails, shown } from '../core/details.ts'
import type { Catalogue } from '../core/risk.ts'

/** What is asked of this grant. Undefined: all of it; null: nothing. */
export function detailOf(
  details: readonly GrantDetail[] | undefined,
  grant: string,
): GrantDetail | undefined | null {
  return details && (details.find(({ identifier }) => identifier === grant) ?? null)
}

/** No more than the rule allows, ever: an action beyond it throws `details_refused`. */
export function narrowed(
  rule: ResolvedRule,
  detail: GrantDetail | undefined,
  catalogue: Catalogue,
): Pick<ResolvedRule, 'allowed' | 'approve'> {
  if (!detail) return rule
  const { identifier, actions } = detail
  const all = [...rule.allowed, ...rule.approve]
  const { kept, stray } = narrowOperations(all, actions, catalogue)
  if (stray !== undefined) {
    throw refusedDetails(`"${shown(identifier)}" may not "${shown(stray)}" here`)
  }
  return {
    allowed: rule.allowed.filter((name) => kept.includes(name)),
    approve: rule.approve.filter((name) => kept.includes(name)),
  }
}

export function refuseUnknownGrants(
  details: readonly GrantDetail[] | undefined,
  planned: readonly { readonly name: string }[],
): void {
  const stranger = details?.find(
    ({ identifier }) => !planned.some(({ name }) => name === identifier),
  )
  if (stranger) throw refusedDetails(`there is no grant "${shown(stranger.identifier)}" here`)
}
