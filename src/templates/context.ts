import { restFacts } from '../core/rest/facts.ts'
import type { Catalogue } from '../core/risk.ts'
import type { Binding, Configuration } from '../core/template.ts'
import type { JsonObject } from '../lib/json.ts'

/** What checking needs to know of a provider. A `Provider` of the port has all of it. */
export interface ProviderFacts {
  readonly catalogue: Catalogue
  /** Throws `config_invalid` with `details.path` pointing into the target. */
  parseTarget(target: JsonObject): JsonObject
  /** Names of the variables a child gets for a parsed target. */
  variables(target: JsonObject): readonly string[]
  /** Null: works without a connection. Left out: not checked. */
  readonly secretPrompt?: string | null
  /** Where its requests go. Left out: it has no hosts of its own. */
  readonly guard?: { readonly hosts: readonly string[] }
}

/** The world that a document is checked against, handed in as data. */
export interface CompileContext {
  /** Stored now. */
  readonly connections: readonly { readonly name: string; readonly provider: string }[]
  /** The built-in ones: those of a document's own are added from the document itself. */
  readonly providers: ReadonlyMap<string, ProviderFacts>
}

/** The same world as one configuration sees it: with the providers it defines, as it defines them. */
export function withOwn(
  context: CompileContext,
  { providers }: Pick<Configuration, 'providers'>,
): CompileContext {
  const own = Object.entries(providers).map(
    ([name, definition]) => [name, restFacts(name, definition)] as const,
  )
  // Built-in ones last: a name of theirs never means another.
  return { ...context, providers: new Map([...own, ...context.providers]) }
}

/** The provider of a binding, as far as it is known: named there, or told by the stored connection. */
export function providerOf(binding: Binding, context: CompileContext): string | null {
  if (binding.provider !== null) return binding.provider
  const stored = context.connections.find(({ name }) => name === binding.connection)
  return stored?.provider ?? null
}

export function factsOf(binding: Binding, context: CompileContext): ProviderFacts | undefined {
  const provider = providerOf(binding, context)
  return provider === null ? undefined : context.providers.get(provider)
}
