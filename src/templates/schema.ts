import { z } from 'zod'
import { isName, NAME } from '../core/names.ts'
import { ISOLATIONS } from '../core/template.ts'
import { issuerKind } from '../core/trust/issuer.ts'
import { PRESET_NAMES, presetCalled } from '../core/trust/presets.ts'
import { parseDuration } from '../lib/duration.ts'
import { PROVIDER_KEYS, providerSchema } from './provider-schema.ts'

/**
 * The document of contract §3, before anything that needs to know connections or providers. Strict
 * everywhere: a broker that ignored a key it does not know could ignore a restriction. `params.rule`
 * of a custom issue names the sentence in `explain.ts`.
 */

const name = z
  .string()
  .regex(NAME, { abort: true })
  .refine(isName, { params: { rule: 'name' } })
  .meta({ description: 'letters, digits, dots, dashes and underscores; at most 63' })

const duration = z
  .string()
  .regex(/^(?:[0-9]{1,9}(?:ms|s|m|h|d))+$/, { abort: true })
  .refine((text) => parseDuration(text) !== undefined, { params: { rule: 'duration' } })
  .meta({ description: 'like 90s, 30m or 1h30m' })

/** An exact host, or `*.` and at least two labels: a wildcard over a whole top-level domain is none. */
const HOST =
  /^(?:\*\.(?=[^.]+\.[^.]))?(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?$/
const host = z.string().max(253).regex(HOST)

const binding = z.looseObject({
  connection: name.optional().meta({ description: 'a stored connection (broker connections)' }),
  provider: name.optional().meta({ description: 'for providers that need no connection' }),
})

/** Beside `protected`, every key is the name of a grant. */
const environment = z
  .object({
    protected: z.boolean().optional().meta({
      description: 'everything beyond read needs approval; leases last at most 1h',
    }),
  })
  .catchall(binding)
  .superRefine(
    (value, context) => {
      for (const key of Object.keys(value)) {
        if (isName(key)) continue
        context.addIssue({ code: 'custom', path: [key], params: { rule: 'grant-name' } })
      }
    },
    // Also beside other mistakes: all of them are shown at once.
    { when: ({ value }) => typeof value === 'object' && value !== null && !Array.isArray(value) },
  )
  .meta({ propertyNames: { pattern: NAME.source } })

const pattern = z
  .string()
  .min(1)
  .max(200)
  .meta({ description: 'a risk class, an operation, or a glob like deployment*' })

const patterns = z.array(pattern).max(1000)

const rule = z.strictObject({
  allow: patterns.optional(),
  approve: patterns.optional(),
  deny: patterns.optional(),
})

const claim = z.union([z.string(), z.number(), z.boolean()])

const oidc = z.strictObject({
  preset: z.enum(PRESET_NAMES).optional().meta({
    description: 'the CI system that signs: gives its issuer, and checks that the rule is narrow',
  }),
  issuer: z
    .string()
    .refine((text) => issuerKind(text) !== null, { params: { rule: 'issuer' } })
    .optional()
    .meta({ description: 'as the token has it, to the letter; the preset may give it' }),
  audience: z.string().min(1).max(500).optional().meta({
    description: "what aud has to be, alone; left out: the broker's public URL",
  }),
  claims: z
    .record(z.string(), z.union([claim, z.array(claim).min(1).max(1000)]))
    .refine((claims) => Object.keys(claims).length > 0, { params: { rule: 'no-claims' } })
    .meta({ description: 'each with its exact value, or a list of those that are allowed' }),
})

const namedIssuer = oidc.superRefine(({ issuer, preset }, context) => {
  if (issuer !== undefined || (preset && presetCalled(preset).issuer !== null)) return
  context.addIssue({ code: 'custom', path: ['issuer'], params: { rule: 'no-issuer' } })
})

const who = z.union([z.literal('local'), z.strictObject({ oidc: namedIssuer })])

const template = z.strictObject({
  description: z.string().max(1000).optional(),
  environments: z.array(name).min(1),
  default: z.boolean().optional(),
  ttl: duration.optional(),
  maxTtl: duration.optional(),
  isolation: z.enum(ISOLATIONS as [string, ...string[]]).optional(),
  egress: z.union([z.literal('open'), z.array(host)]).optional(),
  unconfined: z.boolean().optional(),
  who: z.array(who).min(1).optional(),
  approval: z.enum(['none', 'required']).optional(),
  confirm: z.enum(['totp', 'typed']).optional(),
  approvalWait: duration.optional(),
  maxLive: z.int().min(1).max(1_000_000).optional(),
  grants: z
    .record(name, rule)
    .refine((grants) => Object.keys(grants).length > 0, { params: { rule: 'no-grants' } }),
})

export const documentSchema = z.strictObject({
  version: z.literal(1),
  environments: z.record(name, environment),
  templates: z.record(name, template),
  providers: z.record(name, providerSchema).optional().meta({
    description: 'REST APIs of your own: what they can do, and how dangerous each part is',
  }),
})

/** The keys that each kind of map knows, for telling what an unknown one was meant to be. */
export const KEYS = {
  document: Object.keys(documentSchema.shape),
  template: Object.keys(template.shape),
  rule: Object.keys(rule.shape),
  who: ['oidc'],
  oidc: Object.keys(oidc.shape),
  ...PROVIDER_KEYS,
} as const

/** A document of the right shape. What it means is for `compile` to say. */
export type BrokerDocument = z.output<typeof documentSchema>
export type TemplateDocument = BrokerDocument['templates'][string]
export type EnvironmentDocument = BrokerDocument['environments'][string]
export type BindingDocument = z.output<typeof binding>
export type WhoDocument = z.output<typeof who>
export type RuleDocument = z.output<typeof rule>
