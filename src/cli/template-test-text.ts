import type { RuleTestView, TestResult } from '../api/types.ts'
import { type Look, paint, visible } from './terminal.ts'

/** One line for each rule, in the order of the file, then where the token would be let in. */
export function testText({ rules, admitted }: TestResult, look: Look): string[] {
  if (rules.length === 0) return ['no template has an oidc rule under who: no token is let in']
  const where = admitted.map(
    ({ environment, templates }) =>
      `environment ${visible(environment)}, by template ${visible(templates.join(', '))}`,
  )
  return [
    ...rules.map((rule) => ruleLine(rule, look)),
    ...(where.length === 0 ? [paint(look, 'bad', 'no rule lets it in')] : where),
  ]
}

function ruleLine({ template, rule, failure }: RuleTestView, look: Look): string {
  const place = `templates.${visible(template)}.who.${rule}`
  return failure === null
    ? `${place}: ${paint(look, 'good', 'lets it in')}`
    : `${place}: ${paint(look, 'bad', 'no')}, ${visible(failure)}`
}

/** What the answer leaves open, for the person. */
export function testRemarks(result: TestResult, fromToken: boolean): string[] {
  const { audience, admitted, rules } = result
  const several = admitted.filter(({ templates }) => templates.length > 1)
  return [
    ...several.map(
      ({ environment, templates }) =>
        `warning: ${templates.length} templates let it into "${visible(environment)}" (${visible(templates.join(', '))}): name one in the request, or make their rules exclude each other`,
    ),
    ...(audience.from === 'claims' && rules.length > 0 ? [ASSUMED] : []),
    `note: signature and times are not checked${fromToken ? ': of the token, only its claims were read' : ''}`,
  ]
}

const ASSUMED =
  'note: rules without an audience take the public URL of the server; give it as --audience to check that too'
