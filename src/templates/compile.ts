import type { Issue } from '../api/types.ts'
import type { Configuration, Environment } from '../core/template.ts'
import { type CompileContext, withOwn } from './context.ts'
import { toTemplate } from './defaults.ts'
import { checkEnvironment, toEnvironment } from './environments.ts'
import { type Finding, toIssues } from './finding.ts'
import { checkGrants } from './grants.ts'
import { checkLimits } from './limits.ts'
import { checkProviders, toDefinition } from './providers.ts'
import type { ReadDocument } from './read.ts'
import { checkWho } from './trust.ts'
import { quoted } from './words.ts'

export interface CompileResult {
  /** Present exactly when no issue is an error. Plain JSON data. */
  readonly configuration?: Configuration
  readonly issues: readonly Issue[]
}

/**
 * What a document means here and now: every default filled in, every rule checked, every name it
 * uses looked up. Pure; the same document and context give the same result.
 */
export function compile(document: ReadDocument, world: CompileContext): CompileResult {
  const { content, locate } = document
  const providers = record(content.providers ?? {}, (_, provider) => toDefinition(provider))
  const context = withOwn(world, { providers })
  const environments = record(content.environments, toEnvironment)
  const findings: Finding[] = [
    ...checkProviders(providers, world),
    ...Object.values(environments).flatMap((environment) => checkEnvironment(environment, context)),
  ]
  const templates = record(content.templates, (name, template) => {
    const known = template.environments.flatMap((one) => own(environments, one) ?? [])
    return toTemplate(name, template, known)
  })
  const names = Object.keys(environments)
  for (const template of Object.values(templates)) {
    const known = template.environments.flatMap((one) => own(environments, one) ?? [])
    findings.push(
      ...checkNames(template.name, content.templates[template.name]?.environments ?? [], names),
      ...checkLimits(template, known),
      ...checkWho(template, content.templates[template.name]?.who ?? []),
      ...checkGrants(template, known, context),
    )
  }
  findings.push(...checkDefaults(templates))
  const issues = toIssues(findings, locate)
  const failed = findings.some(({ severity }) => severity === 'error')
  return failed ? { issues } : { configuration: { environments, templates, providers }, issues }
}

function checkNames(
  template: string,
  written: readonly string[],
  known: readonly string[],
): readonly Finding[] {
  const names = new Set(known)
  return written.flatMap((name, index): Finding[] => {
    if (names.has(name)) return []
    const path = ['templates', template, 'environments', index]
    const message = `there is no environment ${quoted(name)}`
    const near = { word: name, candidates: known }
    return [{ severity: 'error', message, path, at: 'value', near }]
  })
}

/** With two defaults in one environment, `--env` alone would again not be clear. */
function checkDefaults(templates: Configuration['templates']): Finding[] {
  const taken = new Map<string, string>()
  const findings: Finding[] = []
  for (const template of Object.values(templates)) {
    if (!template.isDefault) continue
    for (const environment of template.environments) {
      const other = taken.get(environment)
      if (other === undefined) taken.set(environment, template.name)
      else {
        const message = `templates ${quoted(other)} and ${quoted(template.name)} are both default in environment ${quoted(environment)}`
        const path = ['templates', template.name, 'default']
        findings.push({ severity: 'error', message, path, at: 'key' })
      }
    }
  }
  return findings
}

function own(environments: Configuration['environments'], name: string): Environment | undefined {
  return Object.hasOwn(environments, name) ? environments[name] : undefined
}

function record<From, To>(
  from: Readonly<Record<string, From>>,
  change: (name: string, value: From) => To,
): Record<string, To> {
  return Object.fromEntries(
    Object.entries(from).map(([name, value]) => [name, change(name, value)]),
  )
}
