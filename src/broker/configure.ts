import type { Change, Issue } from '../api/types.ts'
import type { Configuration, Template } from '../core/template.ts'
import type { TrustTerms } from '../core/trust/compile.ts'
import { BrokerError } from '../errors.ts'
import { digest } from '../lib/equal.ts'
import type { JsonObject } from '../lib/json.ts'
import type { Provider } from '../providers/provider.ts'
import type { StoredTemplate, Writer } from '../store/store.ts'
import type { Context, Policy } from './context.ts'
import { compileTrusts } from './trust.ts'

export interface Known {
  readonly connections: readonly { readonly name: string; readonly provider: string }[]
  readonly providers: ReadonlyMap<string, Provider>
}

export interface Reading {
  readonly configuration?: Configuration
  readonly issues: readonly Issue[]
}

/** How broker.yaml is understood; `templates/` does it, the daemon hands it in. */
export interface Documents {
  /** `configuration` is missing exactly when an issue is an error. */
  read(text: string, known: Known): Promise<Reading>
  changes(before: Configuration, after: Configuration, known: Known): Promise<readonly Change[]>
  /** A template together with the environments it names: what `fingerprint` is over. */
  definition(template: Template, configuration: Configuration): JsonObject
  /** SHA-256 over the definition. */
  fingerprint(template: Template, configuration: Configuration): string
  readonly builtin: Configuration
}

export interface Checked {
  readonly configuration: Configuration | undefined
  readonly issues: readonly Issue[]
  /** In meaning, against what is applied now. */
  readonly changes: readonly Change[]
  readonly baseVersion: number
}

/** What a document would do. Changes nothing. */
export async function check(
  context: Context,
  documents: Documents,
  text: string,
): Promise<Checked> {
  const known = await whatIsKnown(context)
  const { configuration, issues } = await documents.read(text, known)
  const policy = await context.policy()
  const changes = configuration
    ? await documents.changes(policy.configuration, configuration, known)
    : []
  return { configuration, issues, changes, baseVersion: policy.version }
}

export interface Applied {
  readonly version: number
  readonly changes: readonly Change[]
  readonly issues: readonly Issue[]
}

/**
 * Makes a document the policy. `baseVersion` is what the person saw it compared with: if another
 * one was applied since, it throws `conflict`, because they agreed to a different change.
 */
export async function apply(
  context: Context,
  documents: Documents,
  text: string,
  baseVersion: number,
): Promise<Applied> {
  const checked = await check(context, documents, text)
  const { configuration, issues, changes } = checked
  if (!configuration) throw invalid(issues)
  const appliedAt = context.now()
  const sha256 = digest(text)
  const version = await context.store.write(async (writer) => {
    const current = await writer.configuration()
    if ((current?.version ?? 0) !== baseVersion) throw overtaken()
    const templates = await number(writer, documents, configuration, appliedAt)
    const next = await writer.insertConfiguration({
      sha256,
      text,
      compiled: configuration,
      appliedAt,
    })
    await writer.replaceTemplates(templates)
    await writer.append({
      type: 'template.applied',
      lease: null,
      data: {
        version: next,
        sha256,
        templates: templates.map(({ name, version, sha256 }) => ({ name, version, sha256 })),
        changes: changes.map(({ effect, message }) => ({ effect, message })),
      },
    })
    return next
  })
  return { version, changes, issues }
}

/** A template keeps its version while its meaning is the same; its versions are never reused. */
async function number(
  writer: Writer,
  documents: Documents,
  configuration: Configuration,
  appliedAt: number,
): Promise<StoredTemplate[]> {
  const numbered: StoredTemplate[] = []
  for (const template of Object.values(configuration.templates)) {
    const sha256 = documents.fingerprint(template, configuration)
    const newest = await writer.newestTemplate(template.name)
    if (newest?.sha256 === sha256) {
      numbered.push(newest)
      continue
    }
    const version = (newest?.version ?? 0) + 1
    const definition = documents.definition(template, configuration)
    numbered.push({ name: template.name, version, sha256, definition, appliedAt })
  }
  return numbered
}

/** What is applied now, as the use cases see it. `terms`: what its `oidc` rules are compiled with. */
export async function currentPolicy(
  context: Pick<Context, 'store'>,
  documents: Documents,
  terms: TrustTerms,
): Promise<Policy> {
  const applied = await context.store.read.configuration()
  // What an older version applied knew no providers of its own.
  const held: Partial<Configuration> = applied?.compiled ?? {}
  const configuration = applied
    ? { ...applied.compiled, providers: held.providers ?? {} }
    : documents.builtin
  const stored = applied ? await context.store.read.templates() : []
  const versions = new Map(stored.map(({ name, version, sha256 }) => [name, { version, sha256 }]))
  if (!applied) {
    for (const template of Object.values(configuration.templates)) {
      versions.set(template.name, {
        version: 0,
        sha256: documents.fingerprint(template, configuration),
      })
    }
  }
  const trust = compileTrusts(configuration, terms)
  return { version: applied?.version ?? 0, configuration, templates: versions, trust }
}

async function whatIsKnown(context: Context): Promise<Known> {
  const connections = await context.store.read.connections()
  const providers = new Map<string, Provider>()
  for (const name of context.builtinProviders) providers.set(name, await context.provider(name))
  return { connections: connections.map(({ name, provider }) => ({ name, provider })), providers }
}

function invalid(issues: readonly Issue[]): BrokerError {
  const first = issues.find((issue) => issue.severity === 'error')
  const where = first
    ? `line ${first.line}, column ${first.column}: ${first.message}`
    : 'it has errors'
  return new BrokerError('config_invalid', where, {
    hint: 'see all of them with: broker template check FILE',
    details: { issues },
  })
}

function overtaken(): BrokerError {
  return new BrokerError('conflict', 'another broker.yaml was applied in the meantime', {
    hint: 'look at the change again: broker template diff FILE',
  })
}
