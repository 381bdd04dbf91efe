// The action and the GitLab job of docs/ci.md against a real `broker serve`.
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { exchange } from '../../src/ci/exchange.ts'
import { Secret } from '../../src/lib/secret.ts'
import { collect, until } from '../fixtures/broker.ts'
import { examples } from '../fixtures/ci-documents.ts'
import { CiRunner, type StepResult } from '../fixtures/ci-runner.ts'
import { githubClaims, gitlabClaims } from '../fixtures/oidc-claims.ts'
import { Served } from '../fixtures/serve.ts'

const policy = (issuer: string) => `version: 1
environments:
  ci:
    api: { provider: jwt, audience: https://api.example }
templates:
  deploy:
    environments: [ci]
    ttl: 10m
    who:
      - oidc:
          issuer: ${issuer}
          claims: { repository_id: "456789", ref: refs/heads/main, event_name: push }
      - oidc:
          issuer: ${issuer}
          claims: { project_id: "20", ref_protected: "true" }
    grants:
      api: { allow: [orders:write] }
`

interface LeaseJson {
  readonly id: string
  readonly state: string
  readonly endReason: string | null
  readonly run: { readonly repository: string; readonly ref: string; readonly run: string } | null
}

let served: Served
let runner: CiRunner
let inputs: Record<string, string>
/** Every identity token that was signed, and every credential that was seen: canaries. */
let canaries: string[]
let runs = 0

beforeAll(async () => {
  served = await Served.start(policy)
})
afterAll(() => served?.dispose())
beforeEach(() => {
  canaries = []
  runner = new CiRunner({
    ACTIONS_ID_TOKEN_REQUEST_URL: `${served.issuer.origin}/idtoken?api-version=2.0`,
    ACTIONS_ID_TOKEN_REQUEST_TOKEN: 'canary-request-token',
    NODE_EXTRA_CA_CERTS: join(served.folder, 'issuer-ca.pem'),
  })
  inputs = { server: served.url, environment: 'ci', 'ca-file': served.caFile }
  runsAs({})
})
afterEach(() => runner.dispose())

/** The issuer signs for a run of its own with these claims, as GitHub does for a job that asks. */
function runsAs(claims: object): void {
  const run = String(17_000_000_000 + runs++)
  const path = `/idtoken?api-version=2.0&audience=${encodeURIComponent(served.url)}`
  served.issuer.answers.set(path, (request, response) => {
    if (request.headers.authorization !== 'Bearer canary-request-token') {
      return void response.writeHead(401).end()
    }
    const usual = githubClaims(served.issuer.url, Date.now())
    const own = { aud: served.url, run_id: run, jti: crypto.randomUUID() }
    void served.sign({ ...usual, ...own, ...claims }).then((value) => {
      canaries.push(value)
      response.setHeader('content-type', 'application/json')
      response.end(JSON.stringify({ value }))
    })
  })
}

async function leases(): Promise<readonly LeaseJson[]> {
  return (await served.json<{ leases: LeaseJson[] }>(['tokens', '--all'])).leases
}

const leaseOf = async (id: string | undefined) => (await leases()).find((one) => one.id === id)

function keep(...values: (string | undefined)[]): void {
  for (const value of values) {
    expect(value?.length).toBeGreaterThan(20)
    canaries.push(value ?? '')
  }
}

function expectNoSecret(...texts: string[]): void {
  for (const canary of [...canaries, 'canary-request-token']) {
    for (const text of texts) expect(text).not.toContain(canary)
  }
}

const shown = ({ log, annotations }: StepResult) => log + annotations.join('\n')

describe('the action at a real server', () => {
  it('is refused for a branch that no rule names, and only the audit log says why', async () => {
    runsAs({ ref: 'refs/heads/feature' })
    const main = await runner.action('main', inputs)
    expect(main.status).toBe(1)
    expect(main.annotations[0]).toContain('the server does not accept the identity token')
    expect(shown(main)).not.toContain('refs/heads')
    expect(runner.env).toEqual({})
    expectNoSecret(shown(main))

    const { out } = await served.must(['audit', 'list', '--json'])
    expect(out).toContain('exchange.refused')
    expect(out).toContain('refs/heads/feature')
    expectNoSecret(out)
  })

  it('gives the step its credential, the log nothing, and the post step ends it', async () => {
    const main = await runner.action('main', inputs)
    expect(shown(main)).toContain('template deploy')
    expect(main.status).toBe(0)
    const { BROKER_ACCESS_TOKEN: token, BROKER_HANDLE: handle, BROKER_LEASE: lease } = runner.env
    keep(token, handle)
    expect(runner.outputs['lease']).toBe(lease)
    expect(await leaseOf(lease)).toMatchObject({
      state: 'active',
      run: { repository: 'octo-org/my-repo', ref: 'refs/heads/main' },
    })

    const step = await runner.run('echo "token: $BROKER_ACCESS_TOKEN"; env | sort')
    expect(step.raw).toContain(token)
    expectNoSecret(shown(main), step.log)

    const post = await runner.action('post', inputs)
    expect(post).toMatchObject({ status: 0, log: `broker: lease ${lease} revoked\n` })
    expect(await leaseOf(lease)).toMatchObject({ state: 'revoked' })

    const again = await runner.action('post', inputs)
    expect(again.log).toBe(`broker: lease ${lease} revoked\n`)
    const { out: story } = await served.must(['audit', 'show', lease ?? ''])
    expectNoSecret(
      shown(post),
      story,
      served.log,
      served.out,
      everyFile(join(served.home, 'state')),
    )
  })

  it('ends the lease of a job whose later step fails', async () => {
    await runner.action('main', inputs)
    const step = await runner.run('echo "$BROKER_ACCESS_TOKEN" > /dev/null; exit 7')
    expect(step.status).toBe(7)
    await runner.action('post', inputs)
    expect(await leaseOf(runner.env['BROKER_LEASE'])).toMatchObject({ state: 'revoked' })
  })

  it('lets a later step end the lease before its time', async () => {
    await runner.action('main', inputs)
    runner.job['PATH'] = `${served.installed()}:${process.env['PATH']}`
    const step = await runner.run('broker revoke "$BROKER_LEASE"')
    expect(step.status).toBe(0)
    expect(await leaseOf(runner.env['BROKER_LEASE'])).toMatchObject({ state: 'revoked' })
    const post = await runner.action('post', inputs)
    expect(post.annotations).toEqual([])
  })

  it('cannot have a second lease of one run while the first lives', async () => {
    await runner.action('main', inputs)
    const second = await runner.action('main', inputs)
    expect(second.status).toBe(1)
    expect(second.annotations).toEqual([expect.stringContaining('live lease')])
    await runner.action('post', inputs)
  })

  it('cannot use an identity token a second time, nor can anybody else', async () => {
    await runner.action('main', inputs)
    await runner.action('post', inputs)
    const [token = ''] = canaries
    const again = exchange({ url: served.url, ca: served.ca }, new Secret(token), {
      environment: 'ci',
    })
    await expect(again).rejects.toMatchObject({
      code: 'token_replayed',
      message: 'the subject token was used already',
    })
  })

  it.each([
    ['SIGINT', 0],
    ['SIGINT', 5],
    ['SIGTERM', 10],
    ['SIGINT', 20],
    ['SIGTERM', 40],
    ['SIGKILL', 20],
  ] as const)(
    'leaves nothing live when the run is cancelled: %s, %d ms after its identity was got',
    async (signal, ms) => {
      const before = (await leases()).length
      const { child, ended } = runner.start('main', inputs)
      await printed(child)
      await new Promise((done) => setTimeout(done, ms))
      child.kill(signal)
      const main = await ended
      const post = await runner.action('post', inputs)
      expectNoSecret(shown(main), shown(post))
      // What was minted, and never claimed by the process that was killed, goes 20 s after that.
      await until(
        'nothing lives',
        async () => {
          const made = (await leases()).slice(0, (await leases()).length - before)
          return made.every(({ state }) => ['revoked', 'failed'].includes(state))
        },
        40_000,
      )
    },
  )
})

describe('broker token in a step of GitHub Actions', () => {
  it('masks, hands on to the next steps, and is ended by the last', async () => {
    const PATH = `${served.installed()}:${process.env['PATH']}`
    Object.assign(runner.job, { PATH, BROKER_CA_FILE: served.caFile })
    const command = `broker token --server ${served.url} --env ci --format github`
    const first = await runner.run(command)
    expect(first.status).toBe(0)
    keep(runner.env['BROKER_ACCESS_TOKEN'], runner.env['BROKER_HANDLE'])
    const step = await runner.run('test -n "$BROKER_ACCESS_TOKEN"; env')
    expect(step.status).toBe(0)
    const last = await runner.run('broker revoke "$BROKER_LEASE"')
    expect(last.status).toBe(0)
    expect(await leaseOf(runner.env['BROKER_LEASE'])).toMatchObject({ state: 'revoked' })
    expectNoSecret(shown(first), shown(step), shown(last))
  })
})

describe('the GitLab job of the documentation', () => {
  interface Job {
    readonly id_tokens: Readonly<Record<string, { readonly aud: string }>>
    readonly variables?: Readonly<Record<string, string>>
    readonly script: readonly string[]
    readonly after_script?: readonly string[]
  }
  const jobs = () =>
    examples('.gitlab-ci.yml').map(
      (text) =>
        (parse(text.replaceAll('https://broker.example', served.url)) as { deploy: Job }).deploy,
    )
  let project: string

  beforeEach(() => {
    project = join(runner.folder, 'project')
    mkdirSync(project)
  })

  /** One script, as the runner's shell executor runs it: in a shell of its own. */
  function shell(job: Job, lines: readonly string[], token: string): ChildProcess {
    const bin = served.installed()
    writeFileSync(
      join(bin, 'make'),
      `#!/bin/sh\nenv > '${project}/seen'\n[ ! -e '${project}/fail' ]\n`,
      {
        mode: 0o755,
      },
    )
    const variables = Object.entries(job.variables ?? {}).map(([name, value]) => [
      name,
      value.replaceAll('$CI_PROJECT_DIR', project),
    ])
    const [name = ''] = Object.keys(job.id_tokens)
    return spawn('bash', ['-eo', 'pipefail', '-c', lines.join('\n')], {
      cwd: project,
      env: {
        PATH: `${bin}:${process.env['PATH']}`,
        HOME: runner.folder,
        CI: 'true',
        GITLAB_CI: 'true',
        CI_PROJECT_DIR: project,
        BROKER_CA_FILE: served.caFile,
        [name]: token,
        ...Object.fromEntries(variables),
      },
      stdio: 'pipe',
    })
  }

  function tokenFor(job: Job, claims: object = {}): Promise<string> {
    const [aud = ''] = Object.values(job.id_tokens).map((one) => one.aud)
    const usual = gitlabClaims(served.issuer.url, Date.now())
    const own = { aud, jti: crypto.randomUUID(), job_id: String(runs++) }
    return served.sign({ ...usual, ...own, ...claims })
  }

  const seen = () => {
    const text = readFileSync(join(project, 'seen'), 'utf8')
    return (name: string) => new RegExp(`^${name}=(.*)$`, 'm').exec(text)?.[1]
  }

  it('is refused on a branch that is not protected, before anything is run', async () => {
    const [, job] = jobs()
    if (!job) throw new Error('there is no such example')
    const token = await tokenFor(job, { ref_protected: 'false' })
    const result = await collect(shell(job, job.script, token))
    expect(result.status).toBe(3)
    expect(result.err).toContain('does not accept the identity token')
    expect(existsSync(join(project, 'seen'))).toBe(false)
  })

  it.each(['succeeds', 'fails'])(
    'with several commands has its credentials, and ends them when it %s',
    async (how) => {
      const [, job] = jobs()
      if (!job?.after_script) throw new Error('there is no such example')
      if (how === 'fails') writeFileSync(join(project, 'fail'), '')
      const token = await tokenFor(job)
      const script = await collect(shell(job, job.script, token))
      expect(script.status === 0).toBe(how === 'succeeds')
      const of = seen()
      keep(token, of('BROKER_ACCESS_TOKEN'), of('BROKER_HANDLE'))
      expectNoSecret(script.out, script.err)
      expect(await leaseOf(of('BROKER_LEASE'))).toMatchObject({
        state: 'active',
        run: { repository: 'my-group/my-project' },
      })

      const after = await collect(shell(job, job.after_script, token))
      expect(after).toMatchObject({ status: 0 })
      expect(await leaseOf(of('BROKER_LEASE'))).toMatchObject({ state: 'revoked' })
      expect(readdirSync(`${project}.tmp`)).toEqual([])
      expectNoSecret(after.out, after.err)
    },
  )

  it('around one command leaves nothing live behind it', async () => {
    const [job] = jobs()
    if (!job) throw new Error('there is no such example')
    const token = await tokenFor(job)
    const result = await collect(shell(job, job.script, token))
    expect(result.err).toContain('broker: revoked')
    expect(result.status).toBe(0)
    const of = seen()
    keep(of('BROKER_ACCESS_TOKEN'))
    expect(of('BROKER_ID_TOKEN')).toBeUndefined()
    expect(await leaseOf(of('BROKER_LEASE'))).toMatchObject({ state: 'revoked' })
    expectNoSecret(result.out, result.err)
  })
})

/** Resolves with the first output of the process. */
function printed(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    child.stdout?.once('data', () => resolve())
    child.once('close', () => resolve())
  })
}

function everyFile(folder: string): string {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'latin1'))
    .join('\n')
}
