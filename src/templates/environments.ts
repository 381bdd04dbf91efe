import type { Binding, Environment } from '../core/template.ts'
import { isBrokerError } from '../errors.ts'
import type { JsonObject } from '../lib/json.ts'
import { type CompileContext, factsOf, providerOf } from './context.ts'
import type { Finding, Path } from './finding.ts'
import type { BindingDocument, EnvironmentDocument } from './schema.ts'
import { quoted } from './words.ts'

/** The compiled form. Targets are kept as written: the provider reads them again at each issuance. */
export function toEnvironment(name: string, document: EnvironmentDocument): Environment {
  const { protected: isProtected = false, ...places } = document
  const bindings = Object.entries(places as Readonly<Record<string, BindingDocument>>)
  return {
    name,
    protected: isProtected,
    bindings: Object.fromEntries(bindings.map(([grant, place]) => [grant, toBinding(place)])),
  }
}

function toBinding({ connection, provider, ...target }: BindingDocument): Binding {
  return {
    provider: provider ?? null,
    connection: connection ?? null,
    target: target as JsonObject,
  }
}

/** Whether each place can be filled: by a provider that exists, a connection, and a target it accepts. */
export function checkEnvironment(environment: Environment, context: CompileContext): Finding[] {
  return Object.entries(environment.bindings).flatMap(([grant, binding]) => {
    const path = ['environments', environment.name, grant]
    const wrong = [
      ...checkProvider(binding, path, context),
      ...checkConnection(binding, path, context),
    ]
    return wrong.some(({ severity }) => severity === 'error')
      ? wrong
      : [...wrong, ...checkTarget(binding, path, context)]
  })
}

function checkProvider({ provider, connection }: Binding, path: Path, context: CompileContext) {
  const findings: Finding[] = []
  if (provider === null) {
    if (connection !== null) return findings
    const message = `${quoted(String(path[2]))} needs a connection, or a provider that works without one`
    return [{ severity: 'error', message, path, at: 'key' } as const]
  }
  const known = context.providers.get(provider)
  if (!known) {
    findings.push({
      severity: 'error',
      message: `there is no provider ${quoted(provider)}`,
      path: [...path, 'provider'],
      at: 'value',
      near: { word: provider, candidates: context.providers.keys() },
    })
  } else if (connection === null && typeof known.secretPrompt === 'string') {
    const message = `provider ${quoted(provider)} needs a connection: store one with broker connect, and name it here`
    findings.push({ severity: 'error', message, path, at: 'key' })
  }
  return findings
}

/** Connections come and go; a file may be applied before its connection is stored. */
function checkConnection(
  { provider, connection }: Binding,
  path: Path,
  context: CompileContext,
): Finding[] {
  if (connection === null) return []
  const place = { path: [...path, 'connection'], at: 'value' } as const
  const stored = context.connections.find(({ name }) => name === connection)
  if (!stored) {
    const candidates = context.connections.map(({ name }) => name)
    const message = `connection ${quoted(connection)} is not stored yet: its grants are refused until broker connect`
    return [{ severity: 'warning', message, ...place, near: { word: connection, candidates } }]
  }
  if (provider !== null && provider !== stored.provider) {
    const message = `connection ${quoted(connection)} is of provider ${quoted(stored.provider)}, not ${quoted(provider)}`
    return [{ severity: 'error', message, ...place }]
  }
  if (context.providers.has(stored.provider)) return []
  const message = `provider ${quoted(stored.provider)} of connection ${quoted(connection)} is not in this version, nor under "providers"`
  return [{ severity: 'error', message, ...place }]
}

function checkTarget(binding: Binding, path: Path, context: CompileContext): Finding[] {
  const facts = factsOf(binding, context)
  if (!facts) return []
  try {
    facts.parseTarget(binding.target)
    return []
  } catch (error) {
    return [refusedTarget(error, path, providerOf(binding, context) ?? '')]
  }
}

function refusedTarget(error: unknown, path: Path, provider: string): Finding {
  const details = isBrokerError(error) ? error.details : {}
  const inner = Array.isArray(details['path'])
    ? details['path'].filter((step) => typeof step === 'string' || typeof step === 'number')
    : []
  const hint = isBrokerError(error) ? /^did you mean "(.+)"\?$/.exec(error.hint)?.[1] : undefined
  return {
    severity: 'error',
    // Only our own errors are written to be shown.
    message: isBrokerError(error)
      ? error.message
      : `provider ${quoted(provider)} refuses this target`,
    path: [...path, ...inner],
    at: 'key',
    ...(hint !== undefined && { near: hint }),
  }
}
