import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { appendPairs, writeGithub } from '../../src/ci/github-files.ts'
import { Secret } from '../../src/lib/secret.ts'
import { leaseView } from '../fixtures/ci-broker.ts'
import { readCommandFile } from '../fixtures/ci-runner.ts'

let folder: string
let env: { GITHUB_ENV: string; GITHUB_OUTPUT: string }
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ci-github-'))
  env = { GITHUB_ENV: join(folder, 'env'), GITHUB_OUTPUT: join(folder, 'output') }
  for (const file of Object.values(env)) writeFileSync(file, '')
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const write = (variables: Record<string, string>) =>
  writeGithub(env, { lease: leaseView(), variables: new Secret(variables) })
const read = () => readCommandFile(readFileSync(env.GITHUB_ENV, 'utf8'))

describe('the files of a step', () => {
  it('are not looked for outside of a step', () => {
    expect(() => writeGithub({}, { lease: leaseView(), variables: new Secret({}) })).toThrow(
      expect.objectContaining({
        code: 'usage',
        message: '"GITHUB_ENV" is not set: this is no step of a GitHub workflow',
      }),
    )
  })

  it('are not made, and no link is followed', () => {
    const target = join(folder, 'target')
    writeFileSync(target, '')
    for (const prepare of [
      () => {},
      () => symlinkSync(target, env.GITHUB_ENV),
      () => mkdirSync(env.GITHUB_ENV),
    ]) {
      rmSync(env.GITHUB_ENV, { recursive: true, force: true })
      prepare()
      expect(() => write({ KEY: 'canary' })).toThrow(
        expect.objectContaining({ code: 'usage', message: expect.stringContaining('GITHUB_ENV') }),
      )
    }
    expect(readFileSync(target, 'utf8')).toBe('')
  })

  it.each(['NODE_OPTIONS', 'GITHUB_TOKEN', 'RUNNER_TEMP', 'CI'])(
    'never get %s, nor anything else with it',
    (name) => {
      expect(() => write({ FINE: 'x', [name]: 'canary' })).toThrow(
        expect.objectContaining({
          code: 'unsupported',
          message: `no step may set "${name}" for the later ones`,
        }),
      )
      expect(readFileSync(env.GITHUB_ENV, 'utf8')).toBe('')
    },
  )

  it('never get a value that the runner would change', () => {
    expect(() => write({ FINE: 'x', KEY: 'one\r\ntwo' })).toThrow(
      expect.objectContaining({
        code: 'unsupported',
        message: 'the value of "KEY" cannot stand in "GITHUB_ENV" as it is',
      }),
    )
    expect(readFileSync(env.GITHUB_ENV, 'utf8')).toBe('')
  })

  it('give the runner every value as it is, whatever it is', () => {
    const names = fc.stringMatching(/^[A-Z][A-Z0-9]{0,8}_$/)
    const values = fc.oneof(
      fc.string({ unit: fc.constantFrom('\n', '<', '=', 'A', 'EOF', ' ', '%', '::') }),
      fc.string({ unit: 'grapheme' }).map((text) => text.replaceAll(/[\r\0]/g, '')),
    )
    fc.assert(
      fc.property(fc.dictionary(names, values), (variables) => {
        writeFileSync(env.GITHUB_ENV, '')
        write(variables)
        expect(read()).toEqual(variables)
      }),
      { numRuns: 300 },
    )
  })

  it('keep what another program wrote without a final newline', () => {
    writeFileSync(env.GITHUB_ENV, 'BEFORE=1')
    write({ KEY: 'x' })
    expect(read()).toEqual({ BEFORE: '1', KEY: 'x' })
  })

  it('tell the lease as outputs, and no secret', () => {
    write({ KEY: 'canary' })
    const output = readFileSync(env.GITHUB_OUTPUT, 'utf8')
    expect(readCommandFile(output)).toEqual({
      lease: leaseView().id,
      'expires-at': leaseView().expiresAt,
    })
    expect(output).not.toContain('canary')
  })

  it('have a delimiter that nobody can know beforehand', () => {
    appendPairs(env, 'GITHUB_OUTPUT', [['a', 'x']])
    appendPairs(env, 'GITHUB_OUTPUT', [['a', 'x']])
    const delimiters = readFileSync(env.GITHUB_OUTPUT, 'utf8').match(/(?<=<<).*/g) ?? []
    expect(delimiters).toHaveLength(2)
    expect(new Set(delimiters).size).toBe(2)
  })
})
