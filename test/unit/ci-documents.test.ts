import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { FORMATS } from '../../src/ci/format.ts'
import { compile } from '../../src/templates/compile.ts'
import { readDocument } from '../../src/templates/read.ts'
import { actionFile, examples, firstColumn } from '../fixtures/ci-documents.ts'
import { CONTEXT } from './templates-fixture.ts'

interface Workflow {
  readonly permissions: Readonly<Record<string, string>>
  readonly jobs: Readonly<
    Record<string, { steps: readonly { uses?: string; with?: Record<string, string> }[] }>
  >
}

describe('docs/ci.md', () => {
  const policies = examples('broker.yaml')

  it('has a policy for each CI system, which is taken without a warning', () => {
    expect(policies.map((text) => /preset: (\w+)/.exec(text)?.[1])).toEqual([
      'github',
      'gitlab',
      'buildkite',
      'circleci',
    ])
    for (const text of policies) {
      const { document, issues } = readDocument(text)
      expect(issues).toEqual([])
      expect(document && compile(document, CONTEXT).issues).toEqual([])
    }
  })

  it('shows a workflow with the permission, and with inputs that the action has', () => {
    const [text = ''] = examples('.github/workflows/deploy.yml')
    const { permissions, jobs } = parse(text) as Workflow
    expect(permissions['id-token']).toBe('write')
    const step = jobs['deploy']?.steps.find(({ uses }) => uses?.includes('/action@'))
    const { inputs } = actionFile()
    expect(Object.keys(inputs)).toEqual(expect.arrayContaining(Object.keys(step?.with ?? {})))
    for (const [name, { required }] of Object.entries(inputs)) {
      if (required) expect(step?.with).toHaveProperty(name)
    }
  })

  it('names every input, output and format', () => {
    const { inputs, outputs } = actionFile()
    expect(firstColumn('input').toSorted()).toEqual(Object.keys(inputs).toSorted())
    expect(firstColumn('output').toSorted()).toEqual(Object.keys(outputs).toSorted())
    expect(firstColumn('`--format`').toSorted()).toEqual([...FORMATS].toSorted())
  })
})

describe('action.yml', () => {
  it('runs the committed bundles on a Node that has what they need, and the end in any case', () => {
    const { runs } = actionFile()
    expect(runs).toMatchObject({ using: 'node24', 'post-if': 'always()' })
    for (const entry of ['main', 'post']) {
      expect(existsSync(join(import.meta.dirname, '../../action', runs[entry] ?? ''))).toBe(true)
    }
  })
})
