import { resolveOperations } from '../core/decide.ts'
import type { Binding, Environment, GrantRule } from '../core/template.ts'
import { BrokerError, isBrokerError } from '../errors.ts'
import { canonicalJson, type JsonObject } from '../lib/json.ts'
import type { Narrowness } from '../providers/guard.ts'
import type { Finding, Provider } from '../providers/provider.ts'
import { callProvider } from './call.ts'
import type { Context } from './context.ts'
import type { Section } from './examine.ts'

export interface NarrownessQuestion {
  /** Only grants on this connection. */
  readonly connection?: string
  /** Try it out at the providers, with something narrow that is minted and revoked for it. */
  readonly probe: boolean
}

/** A grant of one template in one of its environments. */
interface Place {
  readonly title: string
  readonly environment: Environment
  readonly binding: Binding
  readonly rule: GrantRule
}

/** What a provider is asked. Grants that differ only in their names ask the same. */
interface Question {
  readonly provider: Provider
  readonly connection: string | null
  readonly target: JsonObject
  readonly operations: readonly string[]
  /** Of these, the ones a person decides on. */
  readonly approve: readonly string[]
}

/**
 * For each grant of each template, in each of its environments: what the provider enforces, what
 * the proxy enforces, and what nobody does. Grants that come to the same are one section, and tried
 * once. Never throws for one grant's failure.
 */
export async function narrowness(
  context: Context,
  { connection, probe }: NarrownessQuestion,
): Promise<readonly Section[]> {
  const places = (await placesOf(context)).filter(
    ({ binding }) => connection === undefined || binding.connection === connection,
  )
  const sections = new Map<string, { titles: string[]; findings: readonly Finding[] }>()
  for (const place of places) {
    const { key, findings } = await sectionOf(context, place, probe, (known) => sections.has(known))
    const same = sections.get(key)
    if (same) same.titles.push(place.title)
    else sections.set(key, { titles: [place.title], findings })
  }
  return [...sections.values()].map(({ titles, findings }) => ({
    title: titles.join(', '),
    findings,
  }))
}

async function placesOf(context: Context): Promise<readonly Place[]> {
  const { configuration } = await context.policy()
  const places: Place[] = []
  for (const template of Object.values(configuration.templates)) {
    for (const name of template.environments) {
      const environment = configuration.environments[name]
      for (const [grant, rule] of Object.entries(template.grants)) {
        const binding = environment?.bindings[grant]
        if (!environment || !binding) continue
        const title = `${template.name} · ${environment.name} · ${grant}`
        places.push({ title, environment, binding, rule })
      }
    }
  }
  return places
}

/** The key is the question; a place that has none is a section of its own. */
async function sectionOf(
  context: Context,
  place: Place,
  probe: boolean,
  isKnown: (key: string) => boolean,
): Promise<{ key: string; findings: readonly Finding[] }> {
  let key = place.title
  try {
    const question = await questionOf(context, place)
    const { provider, connection, target, operations, approve } = question
    key = canonicalJson([provider.name, connection, target, [...operations], [...approve]])
    return { key, findings: isKnown(key) ? [] : await ask(context, question, probe) }
  } catch (error) {
    if (!isBrokerError(error)) context.log.error('a grant could not be examined', error)
    return { key, findings: [failure(error)] }
  }
}

async function questionOf(
  context: Context,
  { binding, environment, rule }: Place,
): Promise<Question> {
  const provider = await context.provider(await providerName(context, binding))
  const { allowed, approve } = resolveOperations(rule, provider.catalogue, environment.protected)
  return {
    provider,
    connection: binding.connection,
    target: provider.parseTarget(binding.target),
    operations: [...allowed, ...approve].sort(),
    approve,
  }
}

async function providerName(context: Context, binding: Binding): Promise<string> {
  if (binding.connection === null) return binding.provider ?? ''
  const stored = await context.store.read.connection(binding.connection)
  if (stored) return stored.provider
  throw new BrokerError(
    'connection_missing',
    `connection "${binding.connection}" is not stored: nothing is issued`,
    {
      hint: `store it with: broker connect ${binding.provider ?? 'PROVIDER'} ${binding.connection}`,
    },
  )
}

async function ask(
  context: Context,
  { provider, connection: name, target, operations, approve }: Question,
  probe: boolean,
): Promise<readonly Finding[]> {
  if (operations.length === 0) {
    return [{ level: 'note', message: 'its rule allows nothing: nothing is issued', hint: null }]
  }
  const examine = provider.narrowness?.bind(provider)
  if (!examine) {
    const message = `${provider.name} does not say how narrow its credentials are`
    return [asFinding({ by: 'nobody', message, probed: false })]
  }
  if (probe && name !== null) await recordProbe(context, name, provider.name, operations)
  const found = await callProvider(context, name, (connection, world) =>
    examine({ target, operations, connection, probe }, world),
  )
  return [...personFirst(provider, approve), ...found.map(asFinding)]
}

/** Before it is made: what appears at the provider and is gone again has a reason on record. */
async function recordProbe(
  context: Context,
  connection: string,
  provider: string,
  operations: readonly string[],
): Promise<void> {
  const data = { connection, provider, operations: [...operations] }
  await context.store.write((writer) =>
    writer.append({ type: 'connection.probed', lease: null, data }),
  )
}

/** A native credential is not seen again once it is out: a person decides on the lease as a whole. */
function personFirst(provider: Provider, approve: readonly string[]): readonly Finding[] {
  if (provider.mode !== 'native' || approve.length === 0) return []
  const message = `the broker enforces: a person approves each lease, for it may ${approve.join(', ')}`
  return [{ level: 'ok', message, hint: null }]
}

const WHO = {
  provider: 'the provider enforces',
  proxy: 'the proxy enforces',
  nobody: 'nobody enforces',
} as const

/** What nobody enforces is in the nature of the thing; a gap that was just found is a warning. */
function asFinding({ by, message, probed }: Narrowness): Finding {
  const gap = probed ? 'warning' : 'note'
  return {
    level: by === 'nobody' ? gap : 'ok',
    message: `${WHO[by]}: ${message}${probed ? ' (tried just now)' : ''}`,
    hint: null,
  }
}

function failure(error: unknown): Finding {
  return isBrokerError(error)
    ? { level: 'problem', message: error.message, hint: error.hint }
    : { level: 'problem', message: 'it could not be examined', hint: 'see broker daemon logs' }
}
