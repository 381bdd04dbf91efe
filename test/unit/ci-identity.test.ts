import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { githubToken } from '../../src/ci/github-identity.ts'
import { identityVariables } from '../../src/ci/identity-variables.ts'
import { findSubjectToken, type SubjectOptions } from '../../src/ci/subject-token.ts'
import { CiBroker, idToken, REQUEST_TOKEN } from '../fixtures/ci-broker.ts'

const AUDIENCE = 'https://broker.example'
const TOKEN = idToken({ iss: 'https://issuer.example', sub: 'job', aud: AUDIENCE })
const OTHER = idToken({ iss: 'https://issuer.example', sub: 'job', aud: 'https://other.example' })
const options: SubjectOptions = { audience: AUDIENCE }

let folder: string
let plain: CiBroker

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'ci-identity-'))
  plain = await CiBroker.openPlain()
})
afterEach(() => plain.reset())
afterAll(async () => {
  await plain.close()
  rmSync(folder, { recursive: true, force: true })
})

describe('a job without an identity', () => {
  it('is told where one could come from', async () => {
    await expect(findSubjectToken({}, options)).rejects.toMatchObject({
      code: 'unauthorized',
      message: 'this is no CI job whose identity is known',
      hint: expect.stringContaining('--subject-token-file'),
    })
  })

  it('is told which permission is missing on GitHub', async () => {
    await expect(findSubjectToken({ GITHUB_ACTIONS: 'true' }, options)).rejects.toMatchObject({
      code: 'unauthorized',
      message: 'this job may not ask GitHub for an identity token',
      hint: expect.stringContaining('permissions: id-token: write'),
    })
  })

  it('is shown the id_tokens that it lacks on GitLab', async () => {
    const env = { GITLAB_CI: 'true', ELSEWHERE: OTHER, NAME: 'x' }
    await expect(findSubjectToken(env, options)).rejects.toMatchObject({
      code: 'unauthorized',
      message: `this job has no ID token for "${AUDIENCE}", only for others: "ELSEWHERE"`,
      hint: expect.stringContaining(`aud: "${AUDIENCE}"`),
    })
  })

  it('is told of the agent that its container lacks on Buildkite', async () => {
    const env = { BUILDKITE: 'true', PATH: folder }
    await expect(findSubjectToken(env, options)).rejects.toMatchObject({
      code: 'unauthorized',
      message: '"buildkite-agent" is not on the PATH of this job',
    })
  })

  it('is told that a context is missing on CircleCI', async () => {
    await expect(findSubjectToken({ CIRCLECI: 'true', PATH: '' }, options)).rejects.toMatchObject({
      code: 'unauthorized',
      message: 'this job has no identity token of CircleCI',
    })
  })
})

describe('a token that was handed over', () => {
  it.each([
    ['nothing', ''],
    ['two words', `${TOKEN} ${TOKEN}`],
    ['a token that goes on for ever', `${TOKEN}${'A'.repeat(70_000)}`],
    ['a private key', '-----BEGIN PRIVATE KEY-----'],
  ])('is refused when the file holds %s, without a word of it', async (_, text) => {
    const file = join(folder, 'token')
    writeFileSync(file, text)
    const error = await findSubjectToken({}, { ...options, tokenFile: file }).catch((one) => one)
    expect(error).toMatchObject({
      code: 'usage',
      message: `file "${file}" holds no identity token`,
    })
    if (text !== '') expect(JSON.stringify(error) + error.stack).not.toContain(text.slice(0, 30))
  })

  it('is refused when the file cannot be read', async () => {
    const file = join(folder, 'none')
    await expect(findSubjectToken({}, { ...options, tokenFile: file })).rejects.toMatchObject({
      code: 'usage',
      message: `file "${file}" cannot be read`,
    })
    await expect(findSubjectToken({}, { ...options, tokenFile: folder })).rejects.toMatchObject({
      code: 'usage',
    })
  })

  it('is refused in BROKER_ID_TOKEN when it is none, and nothing else is tried', async () => {
    const env = { BROKER_ID_TOKEN: 'nonsense', GITLAB_CI: 'true', TOKEN }
    await expect(findSubjectToken(env, options)).rejects.toMatchObject({
      code: 'usage',
      message: 'variable "BROKER_ID_TOKEN" holds no identity token',
    })
  })

  it('is taken from a file, before all else', async () => {
    const file = join(folder, 'good')
    writeFileSync(file, `${TOKEN}\n`)
    const env = { BROKER_ID_TOKEN: OTHER, GITHUB_ACTIONS: 'true' }
    const found = await findSubjectToken(env, { ...options, tokenFile: file })
    expect(found.token.reveal()).toBe(TOKEN)
    expect(found.from).toBe(`file "${file}"`)
    expect(JSON.stringify(found)).not.toContain(TOKEN)
  })

  it('is taken from standard input only when that is named', async () => {
    async function* stdin() {
      yield Buffer.from(TOKEN.slice(0, 10))
      yield Buffer.from(`${TOKEN.slice(10)}\n`)
    }
    const found = await findSubjectToken({}, { ...options, tokenFile: '-', stdin: stdin() })
    expect(found.token.reveal()).toBe(TOKEN)
    expect(found.from).toBe('standard input')
    await expect(findSubjectToken({}, { ...options, stdin: stdin() })).rejects.toMatchObject({
      code: 'unauthorized',
    })
  })

  it('is taken from BROKER_ID_TOKEN before the CI system is asked', async () => {
    const env = { BROKER_ID_TOKEN: TOKEN, GITHUB_ACTIONS: 'true' }
    const found = await findSubjectToken(env, options)
    expect(found.token.reveal()).toBe(TOKEN)
  })
})

describe('GitHub', () => {
  const env = () => ({
    GITHUB_ACTIONS: 'true',
    ACTIONS_ID_TOKEN_REQUEST_URL: `${plain.url}/idtoken?api-version=2.0`,
    ACTIONS_ID_TOKEN_REQUEST_TOKEN: REQUEST_TOKEN,
  })
  const loopback = { ...options, plainLoopback: true }

  it.each(['http://example.com/x', 'file:///etc/passwd', 'nonsense'])(
    'is not asked at %s',
    async (url) => {
      const asked = { ...env(), ACTIONS_ID_TOKEN_REQUEST_URL: url }
      await expect(findSubjectToken(asked, loopback)).rejects.toMatchObject({
        code: 'unauthorized',
        message: '"ACTIONS_ID_TOKEN_REQUEST_URL" is not an https address',
      })
    },
  )

  it('is not asked over plain http, not even on this machine, unless a test says so', async () => {
    await expect(findSubjectToken(env(), options)).rejects.toMatchObject({ code: 'unauthorized' })
    expect(plain.asked).toEqual([])
  })

  it('is not followed to another place', async () => {
    const elsewhere = await CiBroker.openPlain()
    plain.next.set('/idtoken', [{ status: 302, headers: { location: `${elsewhere.url}/idtoken` } }])
    await expect(findSubjectToken(env(), loopback)).rejects.toMatchObject({
      code: 'issuer_unavailable',
      message: 'GitHub gave this job no identity token: it answered 302',
    })
    expect(elsewhere.asked).toEqual([])
    await elsewhere.close()
  })

  it.each([{ value: '' }, { value: 'not a token' }, { other: TOKEN }, 'no JSON'])(
    'is refused when it answers %j',
    async (body) => {
      plain.next.set('/idtoken', [{ body }])
      await expect(findSubjectToken(env(), loopback)).rejects.toMatchObject({
        code: 'issuer_unavailable',
        message: 'GitHub gave this job no identity token: its answer holds none',
      })
    },
  )

  it('is given up on after three tries, without a word of the request token', async () => {
    const gone = { ...env(), ACTIONS_ID_TOKEN_REQUEST_URL: 'https://127.0.0.1:1/idtoken?x=1' }
    const pauses: number[] = []
    const sleep = async (ms: number) => pauses.push(ms)
    const error = await githubToken(gone, loopback, { sleep }).catch((one) => one)
    expect(error).toMatchObject({
      code: 'daemon_unreachable',
      message: 'no answer from GitHub to the request for an identity token',
    })
    expect(pauses).toEqual([1000, 2000])
    expect(JSON.stringify(error) + error.stack).not.toContain(REQUEST_TOKEN)
  })

  it('is asked for our audience, with the token of the request', async () => {
    plain.next.set('/idtoken', [{ body: { value: TOKEN } }])
    const found = await findSubjectToken(env(), loopback)
    expect(found).toMatchObject({ from: 'GitHub Actions' })
    expect(found.token.reveal()).toBe(TOKEN)
    const [asked] = plain.asked
    const query = new URL(asked?.path ?? '', plain.url).searchParams
    expect([...query]).toEqual([
      ['api-version', '2.0'],
      ['audience', AUDIENCE],
    ])
    expect(asked?.headers.authorization).toBe(`Bearer ${REQUEST_TOKEN}`)
  })

  it('is believed over TLS alone', async () => {
    const github = await CiBroker.open()
    const untrusted = { GITHUB_ACTIONS: 'true', ...github.github }
    await expect(findSubjectToken(untrusted, options)).rejects.toMatchObject({
      code: 'daemon_unreachable',
    })
    expect(github.asked).toEqual([])
    await github.close()
  })
})

describe('GitLab', () => {
  it('does not let us guess between two tokens', async () => {
    const env = { GITLAB_CI: 'true', ONE: TOKEN, TWO: TOKEN }
    await expect(findSubjectToken(env, options)).rejects.toMatchObject({
      code: 'usage',
      message: 'several variables hold an ID token for us: "ONE", "TWO"',
      hint: expect.stringContaining('BROKER_ID_TOKEN'),
    })
  })

  it('gives the one token that is for us, whatever its name', async () => {
    const env = { GITLAB_CI: 'true', MINE: TOKEN, THEIRS: OTHER, CI_JOB_TOKEN: 'x.y.z' }
    const found = await findSubjectToken(env, options)
    expect(found.token.reveal()).toBe(TOKEN)
    expect(found.from).toBe('variable "MINE"')
  })
})

describe.skipIf(process.platform === 'win32')('an agent of the CI system', () => {
  const program = (name: string, script: string) => {
    const bin = mkdtempSync(join(folder, 'bin-'))
    writeFileSync(join(bin, name), `#!/bin/sh\n${script}\n`)
    chmodSync(join(bin, name), 0o755)
    return `${bin}:/usr/bin:/bin`
  }

  it('that fails says so in our words, not in its own', async () => {
    const PATH = program('buildkite-agent', 'echo canary-of-the-agent >&2; exit 3')
    const error = await findSubjectToken({ BUILDKITE: 'true', PATH }, options).catch((one) => one)
    expect(error).toMatchObject({
      code: 'issuer_unavailable',
      message: '"buildkite-agent oidc" ended with 3',
    })
    expect(error.message + error.hint).not.toContain('canary')
  })

  it('that prints something else has no token', async () => {
    const PATH = program('buildkite-agent', 'echo hello')
    await expect(findSubjectToken({ BUILDKITE: 'true', PATH }, options)).rejects.toMatchObject({
      message: '"buildkite-agent oidc" printed no token',
    })
  })

  it('is asked for our audience and the ids, and gets none of our own variables', async () => {
    const seen = join(folder, 'seen')
    const PATH = program('buildkite-agent', `{ echo "$@"; env; } > '${seen}'; echo ${TOKEN}`)
    const env = {
      BUILDKITE: 'true',
      PATH,
      BUILDKITE_AGENT_ACCESS_TOKEN: 'of-the-agent',
      BROKER_OPERATOR_KEY: 'canary-key',
    }
    const found = await findSubjectToken(env, options)
    expect(found.token.reveal()).toBe(TOKEN)
    expect(found.from).toBe('Buildkite')
    const text = readFileSync(seen, 'utf8')
    expect(text.split('\n')[0]).toBe(
      `oidc request-token --audience ${AUDIENCE} --claim organization_id,pipeline_id`,
    )
    expect(text).toContain('of-the-agent')
    expect(text).not.toContain('canary-key')
  })

  it('of CircleCI makes a token for our audience, else the one of the job is taken', async () => {
    const seen = join(folder, 'circle')
    const PATH = program('circleci', `echo "$@" > '${seen}'; echo ${TOKEN}`)
    const made = await findSubjectToken({ CIRCLECI: 'true', PATH }, options)
    expect(made).toMatchObject({ from: 'CircleCI' })
    expect(readFileSync(seen, 'utf8')).toBe(`run oidc get --claims {"aud":"${AUDIENCE}"}\n`)

    const old = {
      CIRCLECI: 'true',
      PATH: program('circleci', 'exit 1'),
      CIRCLE_OIDC_TOKEN_V2: OTHER,
    }
    const given = await findSubjectToken(old, options)
    expect(given.token.reveal()).toBe(OTHER)
    expect(given.from).toBe('variable "CIRCLE_OIDC_TOKEN_V2"')
  })
})

describe('the variables that prove who a job is', () => {
  it('are known by name, or by what they hold', () => {
    const env = {
      HOME: '/root',
      ACTIONS_ID_TOKEN_REQUEST_URL: 'https://x',
      ANY_NAME: TOKEN,
      CI_JOB_TOKEN: 'glcbt-1',
      NOT_A_TOKEN: 'a.b.c',
      VERSION: '1.2.3',
    }
    expect(identityVariables(env)).toEqual([
      'ACTIONS_ID_TOKEN_REQUEST_URL',
      'ANY_NAME',
      'CI_JOB_TOKEN',
    ])
  })
})
