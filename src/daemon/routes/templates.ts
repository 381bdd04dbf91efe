import { applyRequest, checkRequest } from '../../api/schemas.ts'
import type {
  ApplyResult,
  CheckResult,
  TemplateDetail,
  TemplateList,
  TemplateView,
} from '../../api/types.ts'
import { apply, check, type Documents } from '../../broker/configure.ts'
import type { Context, Policy } from '../../broker/context.ts'
import { nearest } from '../../core/names.ts'
import type { Template } from '../../core/template.ts'
import { BrokerError } from '../../errors.ts'
import { writeFileAtomic } from '../../lib/atomic-write.ts'
import type { Server } from '../server.ts'
import { testTemplates } from './template-test.ts'

/** `onApplied` makes the new policy current; `appliedPath` is where a person finds it as a file. */
export function addTemplateRoutes(
  server: Server,
  context: Context,
  documents: Documents,
  appliedPath: string,
  onApplied: () => void,
): void {
  server.add('checkTemplates', async ({ request }): Promise<CheckResult> => {
    const { text } = checkRequest.parse(request.body)
    const { configuration, issues, changes, baseVersion } = await check(context, documents, text)
    return { ok: configuration !== undefined, issues, changes, baseVersion }
  })

  server.add('testTemplates', ({ request }) => testTemplates(context, documents, request.body))

  server.add('applyTemplates', async ({ request }): Promise<ApplyResult> => {
    const { text, baseVersion } = applyRequest.parse(request.body)
    const applied = await apply(context, documents, text, baseVersion)
    onApplied()
    // A copy for people; the database decides. Editing the copy changes nothing.
    writeFileAtomic(appliedPath, text)
    return applied
  })

  server.add('listTemplates', async (): Promise<TemplateList> => {
    const policy = await context.policy()
    const appliedAt = await appliedTimes(context)
    return {
      configVersion: policy.version,
      templates: Object.values(policy.configuration.templates).map((one) =>
        view(policy, one, appliedAt),
      ),
    }
  })

  server.add('showTemplate', async ({ request }): Promise<TemplateDetail> => {
    const { name } = request.params as { name: string }
    const policy = await context.policy()
    const { templates } = policy.configuration
    const template = Object.hasOwn(templates, name) ? templates[name] : undefined
    if (!template) throw unknown(name, Object.keys(templates))
    return {
      ...view(policy, template, await appliedTimes(context)),
      definition: documents.definition(template, policy.configuration),
    }
  })
}

async function appliedTimes(context: Context): Promise<ReadonlyMap<string, number>> {
  return new Map((await context.store.read.templates()).map((one) => [one.name, one.appliedAt]))
}

function view(
  policy: Policy,
  template: Template,
  appliedAt: ReadonlyMap<string, number>,
): TemplateView {
  const known = policy.templates.get(template.name)
  const at = appliedAt.get(template.name)
  return {
    name: template.name,
    version: known?.version ?? 0,
    sha256: known?.sha256 ?? '',
    appliedAt: at === undefined ? null : new Date(at).toISOString(),
    description: template.description,
    isDefault: template.isDefault,
    environments: template.environments,
    ttlMs: template.ttlMs,
    maxTtlMs: template.maxTtlMs,
    isolation: template.isolation,
    grants: template.grants,
  }
}

function unknown(name: string, names: readonly string[]): BrokerError {
  const near = nearest(name, names)
  return new BrokerError('not_found', `there is no template "${name}"`, {
    hint: near ? `did you mean "${near}"?` : `templates: ${names.join(', ')}`,
  })
}
