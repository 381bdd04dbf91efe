import { testRequest } from '../../api/schemas.ts'
import type { TestResult } from '../../api/types.ts'
import { check, type Documents } from '../../broker/configure.ts'
import type { Context } from '../../broker/context.ts'
import type { Configuration } from '../../core/template.ts'
import { claimOf } from '../../core/trust/claims.ts'
import type { JsonObject } from '../../lib/json.ts'
import { testClaims } from '../../templates/test-claims.ts'

/** Where neither the request nor the claims name an audience: said instead of one. */
const NOT_NAMED = "the broker's public URL"

/** The name of a home that serves nobody: no token is meant for it. */
const LOCAL = 'https://broker.localhost/'

/** Tries claims on the `oidc` rules of a document that is not applied. Changes nothing, and asks no issuer. */
export async function testTemplates(
  context: Context,
  documents: Documents,
  body: unknown,
): Promise<TestResult> {
  const { text, claims, audience: asked } = testRequest.parse(body)
  const { configuration, issues } = await check(context, documents, text)
  const audience = audienceOf(asked, context.audience, claims)
  const unchecked = ['signature', 'times'] as const
  if (!configuration) return { ok: false, issues, audience, rules: [], admitted: [], unchecked }
  const ours = audience.value ?? NOT_NAMED
  const rules = testClaims(Object.values(configuration.templates), claims, ours).map(
    ({ template, rule, failure }) => ({ template, rule, matched: failure === null, failure }),
  )
  const matched = new Set(rules.filter((one) => one.matched).map(({ template }) => template))
  return {
    ok: true,
    issues,
    audience,
    rules,
    admitted: admitted(configuration, matched),
    unchecked,
  }
}

/** A daemon that serves knows its own; one that does not takes what the token says. */
function audienceOf(
  asked: string | undefined,
  own: string,
  claims: JsonObject,
): TestResult['audience'] {
  if (asked !== undefined) return { value: asked, from: 'request' }
  if (!own.startsWith(LOCAL)) return { value: own, from: 'broker' }
  const aud = claimOf(claims, 'aud')
  const only = Array.isArray(aud) && aud.length === 1 ? aud[0] : aud
  return { value: typeof only === 'string' && only !== '' ? only : null, from: 'claims' }
}

function admitted(
  { environments, templates }: Configuration,
  matched: ReadonlySet<string>,
): TestResult['admitted'] {
  return Object.keys(environments).flatMap((environment) => {
    const fitting = Object.values(templates)
      .filter(({ name, environments: own }) => matched.has(name) && own.includes(environment))
      .map(({ name }) => name)
    return fitting.length === 0 ? [] : [{ environment, templates: fitting }]
  })
}
