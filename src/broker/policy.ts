import type { Environment, Template } from '../core/template.ts'
import { BrokerError } from '../errors.ts'
import { admissions, strangerRefused, targetRefused } from './admit.ts'
import type { Caller, Policy, SubjectCaller } from './context.ts'

export interface Choice {
  readonly environment: Environment
  readonly template: Template
  readonly version: number
  readonly sha256: string
  /** Which of the template's `who` let a subject in; null for all others. */
  readonly rule: number | null
}

/**
 * Which template a request is about. With none named: the only one that fits, or the one marked
 * `default`. Throws `not_found` for names that do not exist and `invalid_request` when it is not clear;
 * to a subject `subject_refused` or `target_refused` instead, which name nothing.
 */
export function choose(
  policy: Policy,
  caller: Caller,
  environmentName: string,
  templateName: string | undefined,
): Choice {
  if (caller.kind === 'subject') {
    return chooseForSubject(policy, caller, environmentName, templateName)
  }
  const environment = own(policy.configuration.environments, environmentName)
  if (!environment) {
    const known = Object.keys(policy.configuration.environments)
    throw new BrokerError('not_found', `there is no environment "${environmentName}"`, {
      hint: `environments: ${known.join(', ')}`,
      details: { environments: known },
    })
  }
  const fitting = templatesFor(policy, environmentName).filter((one) => admits(one, caller))
  const template = pick(fitting, policy, environmentName, templateName)
  return choiceOf(policy, environment, template, null)
}

function chooseForSubject(
  policy: Policy,
  { subject }: SubjectCaller,
  environmentName: string,
  templateName: string | undefined,
): Choice {
  const admitted = admissions(policy.trust, subject.claims)
  if (admitted.size === 0) throw strangerRefused(policy, subject.claims)
  const environment = own(policy.configuration.environments, environmentName)
  const fitting = templatesFor(policy, environmentName).filter(({ name }) => admitted.has(name))
  const template =
    templateName === undefined
      ? clearest(fitting, environmentName)
      : fitting.find(({ name }) => name === templateName)
  if (environment && template) {
    return choiceOf(policy, environment, template, admitted.get(template.name) ?? null)
  }
  throw targetRefused('no_such_target', { admitted: [...admitted.keys()].slice(0, 20) })
}

function clearest(fitting: readonly Template[], environment: string): Template | undefined {
  const only = fitting.length === 1 ? fitting[0] : fitting.find(({ isDefault }) => isDefault)
  if (only || fitting.length === 0) return only
  throw ambiguous(fitting, environment)
}

function templatesFor({ configuration }: Policy, environment: string): readonly Template[] {
  const all = Object.values(configuration.templates)
  return all.filter(({ environments }) => environments.includes(environment))
}

function choiceOf(
  policy: Policy,
  environment: Environment,
  template: Template,
  rule: number | null,
): Choice {
  const known = policy.templates.get(template.name)
  const [version, sha256] = [known?.version ?? 0, known?.sha256 ?? '']
  return { environment, template, version, sha256, rule }
}

function pick(
  fitting: readonly Template[],
  policy: Policy,
  environment: string,
  name: string | undefined,
): Template {
  const names = fitting.map((template) => template.name)
  if (name !== undefined) {
    const named = fitting.find((template) => template.name === name)
    if (named) return named
    const exists = own(policy.configuration.templates, name) !== undefined
    throw new BrokerError(
      exists ? 'denied' : 'not_found',
      exists
        ? `template "${name}" is not for environment "${environment}", or not for you`
        : `there is no template "${name}"`,
      {
        hint:
          names.length > 0 ? `templates for "${environment}": ${names.join(', ')}` : NO_TEMPLATE,
        details: { templates: names },
      },
    )
  }
  const only = clearest(fitting, environment)
  if (only) return only
  throw new BrokerError('denied', `no template lets you into environment "${environment}"`, {
    hint: NO_TEMPLATE,
  })
}

/** Names those that fit: to a subject, those that let it in. */
function ambiguous(fitting: readonly Template[], environment: string): BrokerError {
  const names = fitting.map(({ name }) => name)
  return new BrokerError('invalid_request', `several templates fit "${environment}"`, {
    hint: `choose one with --template: ${names.join(', ')}`,
    details: { parameter: 'scope', templates: names },
  })
}

const NO_TEMPLATE = 'an admin adds one with: broker template apply broker.yaml'

/**
 * A task is what it was started as. One that a CI job started has no token to match any more, so it
 * stays with the template that let the job in.
 */
function admits(
  { name, who }: Template,
  caller: Exclude<Caller, { readonly kind: 'subject' }>,
): boolean {
  const principal = caller.kind === 'operator' ? caller.principal : caller.lease.principal
  if (principal.kind === 'local') return who.some((rule) => rule.kind === 'local')
  return caller.kind === 'lease' && caller.lease.template.name === name
}

function own<T>(record: Readonly<Record<string, T>>, key: string): T | undefined {
  return Object.hasOwn(record, key) ? record[key] : undefined
}
