import { ttlCap } from '../core/decide.ts'
import type { Environment, GrantRule, Isolation, Template, Who } from '../core/template.ts'
import { presetCalled } from '../core/trust/presets.ts'
import { parseDuration } from '../lib/duration.ts'
import type { RuleDocument, TemplateDocument, WhoDocument } from './schema.ts'

const TTL_MS = 30 * 60_000
const MAX_TTL_MS = 4 * 3_600_000
const APPROVAL_WAIT_MS = 60_000

/** The compiled form, with every default filled in (contract §3). */
export function toTemplate(
  name: string,
  document: TemplateDocument,
  environments: readonly Environment[],
): Template {
  const cap = ttlCap(environments.some((environment) => environment.protected))
  const maxTtlMs = duration(document.maxTtl) ?? Math.min(MAX_TTL_MS, cap)
  return {
    name,
    description: document.description ?? '',
    isDefault: document.default ?? false,
    environments: [...new Set(document.environments)],
    ttlMs: duration(document.ttl) ?? Math.min(TTL_MS, maxTtlMs),
    maxTtlMs,
    isolation: (document.isolation ?? 'scrub') as Isolation,
    egress: toEgress(document.egress),
    unconfined: document.unconfined ?? false,
    who: (document.who ?? ['local' as const]).map(toWho),
    approval: document.approval ?? 'none',
    confirm: document.confirm ?? 'totp',
    approvalWaitMs: duration(document.approvalWait) ?? APPROVAL_WAIT_MS,
    maxLive: document.maxLive ?? null,
    grants: Object.fromEntries(
      Object.entries(document.grants).map(([grant, rule]) => [grant, toRule(rule)]),
    ),
  }
}

function duration(text: string | undefined): number | undefined {
  return text === undefined ? undefined : parseDuration(text)
}

/** Host names are compared in lower case: DNS makes no difference. */
function toEgress(egress: TemplateDocument['egress']): Template['egress'] {
  if (egress === undefined || egress === 'open') return 'open'
  return [...new Set((egress as readonly string[]).map((host) => host.toLowerCase()))]
}

function toWho(who: WhoDocument): Who {
  if (who === 'local') return { kind: 'local' }
  const { preset, audience } = who.oidc
  // The schema has made sure that one of the two names it.
  const issuer = who.oidc.issuer ?? (preset && presetCalled(preset).issuer) ?? ''
  return { kind: 'oidc', issuer, audience: audience ?? null, claims: { ...who.oidc.claims } }
}

function toRule({ allow = [], approve = [], deny = [] }: RuleDocument): GrantRule {
  return { allow: [...new Set(allow)], approve: [...new Set(approve)], deny: [...new Set(deny)] }
}
