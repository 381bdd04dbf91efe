import type { Change } from '../api/types.ts'
import { ISOLATIONS, type Template, type Who } from '../core/template.ts'
import { formatDuration } from '../lib/duration.ts'
import { canonicalJson, type Json } from '../lib/json.ts'
import { printable } from './words.ts'

type Said = readonly (readonly [Change['effect'], string])[]
type Compare<Value> = (before: Value, after: Value) => Said

/** Everything of a template but its grants, which `diffReach` compares by what they give. */
type Fields = Omit<Template, 'name' | 'grants'>

/** One comparison per field: a field added to templates does not compile until it has one. */
const FIELDS: { readonly [Key in keyof Fields]: Compare<Fields[Key]> } = {
  description: () => [['neutral', 'description changed']],
  isDefault: (_, after) => [
    ['neutral', after ? 'is now chosen when none is named' : 'is no longer the default'],
  ],
  environments: (before, after) => [
    ...missingFrom(before, after).map((name) => ['widens', `may now be used in ${name}`] as const),
    ...missingFrom(after, before).map((name) => ['narrows', `no longer in ${name}`] as const),
  ],
  ttlMs: longer('leases last', ' unless they ask otherwise'),
  maxTtlMs: longer('leases may last', ''),
  isolation: (before, after) => [
    [
      ISOLATIONS.indexOf(after) < ISOLATIONS.indexOf(before) ? 'widens' : 'narrows',
      `accepts isolation ${after}, was ${before}`,
    ],
  ],
  egress: diffEgress,
  unconfined: (_, after) =>
    after
      ? [
          [
            'widens',
            'approvals are accepted at isolation scrub, where the agent can approve itself',
          ],
        ]
      : [['narrows', 'approvals are no longer accepted at isolation scrub']],
  who: (before, after) => [
    ...callers(before, after).map((one) => ['widens', `may now be asked for by ${one}`] as const),
    ...callers(after, before).map(
      (one) => ['narrows', `may no longer be asked for by ${one}`] as const,
    ),
  ],
  approval: (_, after) =>
    after === 'none'
      ? [['widens', 'leases no longer need approval']]
      : [['narrows', 'each lease now needs approval']],
  confirm: (before, after) => [
    [
      after === 'typed' ? 'widens' : 'narrows',
      `approvals are confirmed by ${after}, was ${before}`,
    ],
  ],
  approvalWaitMs: (before, after) => [
    ['neutral', `approvals are waited for ${formatDuration(after)}, was ${formatDuration(before)}`],
  ],
  maxLive: diffMaxLive,
}

/** The fields of a template that was there before and still is. */
export function diffFields(before: Template, after: Template): readonly Change[] {
  const keys = Object.keys(FIELDS) as (keyof Fields)[]
  return keys.flatMap((key) => diffField(key, before, after))
}

function diffField<Key extends keyof Fields>(key: Key, before: Template, after: Template) {
  if (equal(before[key], after[key])) return []
  const said = FIELDS[key](before[key], after[key])
  // The same in another order is still another text, and another fingerprint.
  const all: Said = said.length > 0 ? said : [['neutral', `${key} is written differently`]]
  return all.map(([effect, words]): Change => {
    return { effect, message: `template ${after.name}: ${words}` }
  })
}

function longer(verb: string, end: string): Compare<number> {
  return (before, after) => [
    [
      after > before ? 'widens' : 'narrows',
      `${verb} ${formatDuration(after)}${end}, was ${formatDuration(before)}`,
    ],
  ]
}

function diffEgress(before: Template['egress'], after: Template['egress']): Said {
  if (after === 'open') return [['widens', 'egress is now open to every host']]
  if (before === 'open') {
    const hosts = after.length > 0 ? after.map(printable).join(', ') : 'no host'
    return [['narrows', `egress is now limited to ${hosts}`]]
  }
  return [
    ...missingFrom(before, after).map(
      (host) => ['widens', `egress now reaches ${printable(host)}`] as const,
    ),
    ...missingFrom(after, before).map(
      (host) => ['narrows', `egress no longer reaches ${printable(host)}`] as const,
    ),
  ]
}

function diffMaxLive(before: number | null, after: number | null): Said {
  const words = (limit: number | null) => (limit === null ? "the broker's own limit" : `${limit}`)
  const message = `live leases at once: ${words(after)}, was ${words(before)}`
  // Against a limit that is not known here nothing is promised, but lifting one's own may widen.
  if (before === null) return [['neutral', message]]
  return [[after === null || after > before ? 'widens' : 'narrows', message]]
}

/** Those that only the second list lets in. */
function callers(without: readonly Who[], list: readonly Who[]): readonly string[] {
  return list.filter((one) => !without.some((other) => equal(one, other))).map(caller)
}

/** Who is let in, in words. */
export function caller(who: Who): string {
  if (who.kind === 'local') return 'people of this machine'
  const audience = who.audience === null ? '' : ` for ${printable(who.audience)}`
  return `tokens of ${printable(who.issuer)}${audience} with ${canonicalJson(who.claims)}`
}

function missingFrom(list: readonly string[], wanted: readonly string[]): readonly string[] {
  return [...new Set(wanted)].filter((entry) => !list.includes(entry))
}

export function equal(a: unknown, b: unknown): boolean {
  return canonicalJson(a as Json) === canonicalJson(b as Json)
}
