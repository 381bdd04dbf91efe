import type { Environment, Template, Who } from '../core/template.ts'
import { BrokerError } from '../errors.ts'
import type { Caller, Policy } from './context.ts'

export interface Choice {
  readonly environment: Environment
  readonly template: Template
  readonly version: number
  readonly sha256: string
}

/**
 * Which template a request is about. With none named: the only one that fits, or the one marked
 * `default`. Throws `not_found` for names that do not exist and `invalid_request` when it is not clear.
 */
export function choose(
  policy: Policy,
  caller: Caller,
  environmentName: string,
  templateName: string | undefined,
): Choice {
  const environment = own(policy.configuration.environments, environmentName)
  if (!environment) {
    const known = Object.keys(policy.configuration.environments)
    throw new BrokerError('not_found', `there is no environment "${environmentName}"`, {
      hint: `environments: ${known.join(', ')}`,
      details: { environments: known },
    })
  }
  const fitting = Object.values(policy.configuration.templates).filter(
    (template) => template.environments.includes(environmentName) && admits(template.who, caller),
  )
  const template = pick(fitting, policy, environmentName, templateName)
  const known = policy.templates.get(template.name)
  return { environment, template, version: known?.version ?? 0, sha256: known?.sha256 ?? '' }
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
  const only = fitting.length === 1 ? fitting[0] : fitting.find((template) => template.isDefault)
  if (only) return only
  if (fitting.length === 0) {
    throw new BrokerError('denied', `no template lets you into environment "${environment}"`, {
      hint: NO_TEMPLATE,
    })
  }
  throw new BrokerError('invalid_request', `several templates fit "${environment}"`, {
    hint: `choose one with --template: ${names.join(', ')}`,
    details: { templates: names },
  })
}

const NO_TEMPLATE = 'an admin adds one with: broker template apply broker.yaml'

function admits(who: readonly Who[], caller: Caller): boolean {
  const principal = caller.kind === 'operator' ? caller.principal : caller.lease.principal
  return who.some((rule) => rule.kind === 'local' && principal.kind === 'local')
}

function own<T>(record: Readonly<Record<string, T>>, key: string): T | undefined {
  return Object.hasOwn(record, key) ? record[key] : undefined
}
