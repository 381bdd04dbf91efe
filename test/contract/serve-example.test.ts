// The walk-through of the README, section CI, its commands word for word: what a person sees who follows it.
import { spawn } from 'node:child_process'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { collect, until } from '../fixtures/broker.ts'
import { freePort } from '../fixtures/free-port.ts'
import { fetchWith } from './serve-world.ts'

const ROOT = join(import.meta.dirname, '../..')
const EXAMPLE = 'examples/ci'

/** By the number of its section: what was written and how the last command of it ended. */
const told = new Map<number, { readonly text: string; readonly status: number }>()
let folder: string
let replaced: string

beforeAll(async () => {
  // A checkout with the test build in place of the release, and with ports that nobody else has.
  folder = mkdtempSync(join(tmpdir(), 'broker-example-'))
  for (const name of ['action', 'node_modules', 'package.json', 'src']) {
    symlinkSync(join(ROOT, name), join(folder, name))
  }
  for (const name of ['bin', 'dist']) symlinkSync(join(ROOT, 'dist-test', name), join(folder, name))
  const ports: Readonly<Record<string, string>> = {
    8443: String(await freePort()),
    9443: String(await freePort()),
  }
  replaced = ports['8443'] ?? ''
  mkdirSync(join(folder, EXAMPLE), { recursive: true })
  cpSync(join(ROOT, EXAMPLE), join(folder, EXAMPLE), { recursive: true })
  const moved = (path: string) =>
    readFileSync(path, 'utf8').replace(/\b[89]443\b/g, (port) => ports[port] ?? port)
  for (const name of ['broker.yaml', 'issuer.mjs']) {
    const path = join(folder, EXAMPLE, name)
    writeFileSync(path, moved(path))
  }
  await follow(moved(join(ROOT, 'README.md')))
}, 120_000)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** Runs the README's commands in one shell, as a person would paste them. */
async function follow(readme: string): Promise<void> {
  const section = readme.slice(readme.indexOf('\n## CI\n'))
  const script = [...section.matchAll(/^\*\*(\d)\. [\s\S]*?```sh\n([\s\S]*?)```/gm)]
    .map(([, number, commands = '']) => {
      // Built and installed already.
      const typed = commands.replace(/^npm (ci|run build)$/gm, ':')
      return `echo "@@ ${number}"\n${typed}\necho "@@ end $?"\n`
    })
    .join('')
  const { PATH = '' } = process.env
  const env = { PATH: `${dirname(process.execPath)}:${PATH}`, HOME: folder, LANG: 'C.UTF-8' }
  const shell = spawn('bash', ['-c', `exec 2>&1\n${script}`], { cwd: folder, env, stdio: 'pipe' })
  const { out } = await collect(shell)
  for (const [, number, text = '', status] of out.matchAll(
    /^@@ (\d)\n([\s\S]*?)^@@ end (\d+)\n/gm,
  )) {
    told.set(Number(number), { text, status: Number(status) })
  }
}

const of = (section: number) => told.get(section)?.text ?? ''

describe('the provider of examples/ci', () => {
  it('signs for the job alone', async () => {
    const out = join(folder, 'issuer')
    const issuer = join(folder, EXAMPLE, 'issuer.mjs')
    const child = spawn(process.execPath, [issuer, '--out', out, '--port', '0', '--set', 'ref=x'])
    const ended = collect(child)
    try {
      await until('it listens', () => existsSync(join(out, 'job.env')))
      const [, url = '', token = ''] =
        /URL='(.*)'[\s\S]*TOKEN='(.*)'/.exec(readFileSync(join(out, 'job.env'), 'utf8')) ?? []
      const http = fetchWith(readFileSync(join(out, 'ca.pem'), 'utf8'))
      const ask = async (headers: object) =>
        http.fetch(`${url}&audience=https://broker.example`, { headers })
      for (const authorization of ['', 'Bearer ', 'Bearer x', `Bearer ${token}x`, token]) {
        const refused = await ask(authorization === '' ? {} : { authorization })
        expect([refused.status, await refused.text()]).toEqual([401, '{"message":"not this job"}'])
      }
      const { value } = (await (await ask({ authorization: `bearer ${token}` })).json()) as {
        value: string
      }
      const claims = JSON.parse(Buffer.from(value.split('.')[1] ?? '', 'base64url').toString())
      expect(claims).toMatchObject({ aud: 'https://broker.example', ref: 'x', event_name: 'push' })
      await http.close()
    } finally {
      child.kill()
      await ended
    }
  })
})

describe('the walk-through of examples/ci', () => {
  it('has come to its end, and every section with it', () => {
    expect([...told.keys()]).toEqual([1, 2, 3, 4, 5, 6, 7, 8])
    for (const [section, { status, text }] of told)
      expect([section, status, text]).toEqual([section, 0, text])
  })

  it('a provider and a broker that serves', () => {
    expect(of(2)).toContain("export ACTIONS_ID_TOKEN_REQUEST_URL='https://127.0.0.1:")
  })

  it('the policy lets the job in, and is applied', () => {
    expect(of(4)).toContain(
      'templates.deploy.who.0: lets it in\nenvironment ci, by template deploy\n',
    )
    expect(of(4)).toMatch(/applied as version 1/)
  })

  it('the job’s step has the credential, the log has not', () => {
    expect(of(5)).toContain('\nthe token is ***\n')
    expect(of(5)).not.toMatch(/eyJ|bkh_/)
  })

  it('the post step revokes', () => {
    expect(of(5)).toMatch(/broker: lease lse_\w+ revoked\n/)
    expect(of(6)).toMatch(/lse_\w+[^\n]*revoked/)
  })

  it('the audit log tells the story of the run', () => {
    const story = of(6)
    for (const word of ['octo-org/hello', 'refs/heads/main', 'deploy', 'revoked']) {
      expect(story).toContain(word)
    }
    expect(story).not.toMatch(/eyJ|bkh_/)
  })

  it('the identity token works once', () => {
    expect(of(7)).toMatch(/used already/)
    expect(of(7)).toMatch(/refused with 3\n/)
    expect(of(7)).toMatch(/exchange\.refused.*token_replayed/)
  })

  it('nothing is left running, and the audit log verifies', async () => {
    expect(of(8)).toMatch(/verif|intact|entries/)
    await expect(fetch(`https://127.0.0.1:${replaced}/healthz`)).rejects.toThrow()
  })
})
