import type {
  ApplyResult,
  Change,
  CheckResult,
  Issue,
  TemplateDetail,
  TemplateList,
  TemplateView,
} from '../api/types.ts'
import { formatDuration } from '../lib/duration.ts'
import { table } from './table.ts'
import { jsonText, type Look, paint, visible } from './terminal.ts'

/** `broker.yaml:12:5: error: …`, the form that editors jump to. */
export function issueLines(file: string, issues: readonly Issue[], look: Look): string[] {
  const name = visible(file === '-' ? '<stdin>' : file)
  return issues.map(({ severity, message, line, column, suggestion }) => {
    const style = severity === 'error' ? 'bad' : 'warn'
    const tail = suggestion === null ? '' : ` (did you mean "${visible(suggestion)}"?)`
    return `${name}:${line}:${column}: ${paint(look, style, `${severity}:`)} ${visible(message)}${tail}`
  })
}

const ORDER = ['widens', 'narrows', 'neutral']
const MARK = { widens: '+', narrows: '−', neutral: '·' } as const
const STYLE = { widens: 'bad', narrows: 'good', neutral: 'dim' } as const

/** What becomes possible stands first: it is what the admin answers for. */
export function changeLines(changes: readonly Change[], look: Look): string[] {
  return changes
    .toSorted((a, b) => ORDER.indexOf(a.effect) - ORDER.indexOf(b.effect))
    .map(({ effect, message }) => paint(look, STYLE[effect], `${MARK[effect]} ${visible(message)}`))
}

export function checkText(file: string, result: CheckResult, look: Look): string[] {
  const issues = issueLines(file, result.issues, look)
  if (!result.ok) return issues
  const count = result.changes.length
  const against =
    count === 0 ? 'nothing would change' : `${count} ${count === 1 ? 'change' : 'changes'}`
  return [...issues, `${visible(file === '-' ? '<stdin>' : file)}: ok, ${against}`]
}

export function diffText({ changes }: CheckResult, look: Look): string[] {
  return changes.length === 0 ? ['nothing would change'] : changeLines(changes, look)
}

export function applyText({ version, changes }: ApplyResult): string[] {
  const count = `${changes.length} ${changes.length === 1 ? 'change' : 'changes'}`
  return [`applied as version ${version}, ${count}`]
}

export function templateRows({ templates }: TemplateList, look: Look): string[] {
  return table(
    [
      { title: 'TEMPLATE' },
      { title: 'VERSION' },
      { title: 'DEFAULT' },
      { title: 'ENVIRONMENTS', least: 12 },
      { title: 'TTL' },
      { title: 'MAX' },
      { title: 'ISOLATION' },
      { title: 'GRANTS', least: 12 },
      { title: 'DESCRIPTION', least: 12 },
    ],
    templates.map((template) => [
      { text: template.name },
      { text: String(template.version) },
      { text: template.isDefault ? 'yes' : '-' },
      { text: template.environments.join(', ') },
      { text: formatDuration(template.ttlMs) },
      { text: formatDuration(template.maxTtlMs) },
      { text: template.isolation },
      { text: Object.keys(template.grants).join(', ') },
      { text: template.description },
    ]),
    look,
  )
}

export function templateText(template: TemplateDetail, look: Look): string[] {
  return [
    `${paint(look, 'strong', visible(template.name))} version ${template.version} · sha256 ${visible(template.sha256)}`,
    ...(template.description === '' ? [] : [visible(template.description)]),
    `environments ${visible(template.environments.join(', '))}`,
    `ttl ${formatDuration(template.ttlMs)}, at most ${formatDuration(template.maxTtlMs)} · isolation ${visible(template.isolation)}`,
    ...grantLines(template),
    ...definitionLines(template),
  ]
}

function grantLines({ grants }: TemplateView): string[] {
  return Object.entries(grants).flatMap(([name, rule]) =>
    (['allow', 'approve', 'deny'] as const)
      .filter((verb) => rule[verb].length > 0)
      .map((verb) => `  ${visible(name)} ${verb} ${visible(rule[verb].join(', '))}`),
  )
}

/** The compiled definition, which is what was hashed. */
function definitionLines({ definition }: TemplateDetail): string[] {
  return ['', ...jsonText(definition).split('\n')]
}
