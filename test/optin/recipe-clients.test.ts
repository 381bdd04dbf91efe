import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { ProxiedProduct } from '../fixtures/proxied.ts'
import type { AgentTask, Told } from '../fixtures/proxied-agent.ts'
import { PROGRAMS } from './recipe-programs.ts'

const URL_ASKED = 'https://forge.example/shop/me'
/** At exactly these versions: they are no dependencies of the project. */
const PACKAGES = {
  axios: '1.21.1',
  undici: '8.12.4',
  'node-fetch': '3.3.2',
  got: '14.6.6',
  bun: '1.4.5',
  deno: '2.9.6',
}

/** `mask` and `confine` as well: `BROKER_TEST_ISOLATION=confine`. */
const LEVEL = process.env['BROKER_TEST_ISOLATION'] ?? 'scrub'
const ISOLATION = ['--isolation', LEVEL]

/** In the work tree: a masked task sees nothing else of this machine. */
let place = ''
let broker: ProxiedProduct
let task: AgentTask
let withJava: AgentTask
let before = 0

beforeAll(async () => {
  broker = await ProxiedProduct.start()
  place = join(broker.tree, 'clients')
  mkdirSync(place)
  installPackages()
  for (const [name, text] of Object.entries(PROGRAMS)) writeFileSync(local(name), text)
  // What people have whose company has a proxy: it may not win over the task's.
  const home = (name: string, text: string) => writeFileSync(join(broker.folder, name), text)
  home('.curlrc', 'proxy = http://127.0.0.1:1\n')
  home('.wgetrc', 'https_proxy = http://127.0.0.1:1\n')
  home('.npmrc', 'https-proxy = http://127.0.0.1:1\nproxy = http://127.0.0.1:1\n')
  home('.gitconfig', '[http]\nproxy = http://127.0.0.1:1\n')
  task = await broker.startAgent(ISOLATION)
  withJava = await broker.startAgent([...ISOLATION, '--pass', 'JAVA_TOOL_OPTIONS'], {
    JAVA_TOOL_OPTIONS: '',
  })
}, 300_000)
afterAll(() => broker?.dispose())
beforeEach(() => {
  before = broker.forge.arrived.length
})

function installPackages(): void {
  writeFileSync(
    join(place, 'package.json'),
    JSON.stringify({ private: true, dependencies: PACKAGES }),
  )
  const flags = ['--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error']
  const done = spawnSync('npm', ['install', ...flags], { cwd: place })
  if (done.status !== 0) console.warn(`SKIPPED in part: npm install failed: ${done.stderr}`)
}

const local = (name: string) => join(place, name)
const bun = 'node_modules/@oven/bun-linux-x64/bin/bun'
const deno = 'node_modules/@deno/linux-x64-glibc/deno'
/** A shim finds its program in the person's home, which a masked task does not see. */
const python = LEVEL === 'scrub' ? 'python3' : '/usr/bin/python3'

/** Inside the task: what counts is what is there. */
async function isThere(file: string, args: readonly string[] = ['--version']): Promise<boolean> {
  return (await task.run(file, args, { env: RUST })).code === 0
}

/** rustup looks for its tool chain in the home, which is the test's own. */
const RUST = { RUSTUP_HOME: process.env['RUSTUP_HOME'] ?? join(homedir(), '.rustup') }

/** Names without a folder are on `PATH`, but for what was installed or built here. */
function inPlace(file: string): string {
  return file.includes('/') && !file.startsWith('/') ? local(file) : file
}

/** Made outside: how a program comes to be is not what is asked. */
function built(file: string, args: readonly string[]): boolean {
  return spawnSync(file, args, { cwd: place }).status === 0
}

function basic(of: AgentTask): string {
  return `Basic ${Buffer.from(`x-access-token:${of.env['FORGE_TOKEN']}`).toString('base64')}`
}

function ask(of: AgentTask, file: string, args: readonly string[]): Promise<Told> {
  // gh asks for some login of its own before it does anything.
  const env = {
    URL: URL_ASKED,
    AUTHORIZATION: basic(of),
    GH_ENTERPRISE_TOKEN: 'none',
    GH_TOKEN: 'none',
  }
  return of.run(file, args, { env })
}

/** The forge saw its own key where the program sent the lease's. */
function expectAnswered(told: Told): void {
  expect(told, told.err).toMatchObject({ code: 0 })
  expect(told.out?.replaceAll(' ', '')).toContain('"ok":true')
  expectArrived()
}

function expectArrived(): void {
  const arrived = broker.forge.arrived.slice(before)
  expect(arrived.map(({ line }) => line)).toContain('GET /shop/me')
  expect(arrived.every(({ authorised }) => authorised)).toBe(true)
}

/** A client that is not on this machine is not tested, and says so. */
function client(
  name: string,
  present: () => boolean | Promise<boolean>,
  test: () => Promise<void>,
): void {
  it(name, async ({ skip }) => {
    if (!(await present())) {
      console.warn(`SKIPPED: ${name}: it is not here`)
      skip()
    }
    await test()
  })
}

/** Clients that send what they are told to. */
const ASKING: readonly {
  name: string
  file: string
  args: (authorization: string) => readonly string[]
  present?: () => boolean | Promise<boolean>
}[] = [
  {
    name: 'curl',
    file: 'curl',
    args: (authorization) => ['-sS', '-H', `Authorization: ${authorization}`, URL_ASKED],
  },
  {
    name: 'wget',
    file: 'wget',
    args: (authorization) => ['-qO-', `--header=Authorization: ${authorization}`, URL_ASKED],
  },
  ...['urllib', 'requests', 'httpx', 'aiohttp'].map((name) => ({
    name: `Python: ${name}`,
    file: python,
    args: () => [local(`ask-${name}.py`)],
    present: () => isThere(python, ['-c', `import ${name}`]),
  })),
  ...['fetch', 'https', 'undici', 'axios', 'node-fetch', 'got'].map((name) => ({
    name: `Node: ${name}`,
    file: process.execPath,
    args: () => [local(`${name}.mjs`)],
    present: () =>
      name === 'fetch' || name === 'https' || existsSync(local(`node_modules/${name}`)),
  })),
  { name: 'Bun', file: bun, args: () => ['run', local('fetch.ts')] },
  { name: 'Deno', file: deno, args: () => ['run', '--allow-all', local('fetch.ts')] },
  { name: 'Ruby: Net::HTTP', file: 'ruby', args: () => [local('ask.rb')] },
  {
    name: 'Perl: LWP',
    file: 'perl',
    args: () => [local('lwp.pl')],
    present: () => isThere('perl', ['-MLWP::Protocol::https', '-e', '1']),
  },
  {
    name: 'PHP: the curl extension',
    file: 'php',
    args: () => [local('curl.php')],
    present: () => isThere('php', ['-r', 'curl_init();']),
  },
  {
    name: 'Go: net/http',
    file: './ask',
    args: () => [],
    present: () => built('go', ['build', '-o', 'ask', 'ask.go']),
  },
  {
    name: 'gh',
    file: 'gh',
    args: (authorization) => ['api', URL_ASKED, '-H', `Authorization: ${authorization}`],
  },
  {
    name: 'kubectl',
    file: 'kubectl',
    present: () => isThere('kubectl', ['version', '--client']),
    args: () => [
      ...['--server', 'https://forge.example', '--username', 'x-access-token'],
      ...['--password', '$FORGE_TOKEN', 'get', '--raw', '/shop/me'],
    ],
  },
]

describe('a client that was told to trust something else', () => {
  it('is not let through: the certificate of the task is what it is about', async () => {
    const told = await ask(task, 'curl', ['-sS', '--cacert', '/etc/hostname', URL_ASKED])
    expect(told.code).not.toBe(0)
    expect(told.err).toMatch(/certificate/i)
    expect(broker.forge.arrived.length).toBe(before)
  })
})

describe('through the proxy of its task, with what is in its environment alone:', () => {
  for (const { name, file, args, present } of ASKING) {
    client(name, present ?? (() => isThere(inPlace(file))), async () => {
      expectAnswered(await ask(task, inPlace(file), args(basic(task))))
    })
  }

  client(
    'Java, where the task asks for it',
    () => built('javac', ['Ask.java']),
    async () => {
      const told = await ask(withJava, 'java', ['-cp', place, 'Ask'])
      expectAnswered(told)
      expect(told.out?.match(/"ok":true/g)).toHaveLength(2)
      expect(told.err).toContain('Picked up JAVA_TOOL_OPTIONS')
    },
  )

  it.skipIf(LEVEL === 'confine')('Java is told nothing where nobody asked', () => {
    expect(task.env).not.toHaveProperty('JAVA_TOOL_OPTIONS')
  })

  client(
    'npm',
    () => isThere('npm'),
    async () => {
      const pair = basic(task).slice('Basic '.length)
      const registry = ['--registry=https://forge.example/shop/', '--fetch-retries=0']
      const auth = `--//forge.example/shop/:_auth=${pair}`
      await ask(task, 'npm', ['view', 'me', ...registry, auth])
      expectArrived() // the answer is none that it understands
    },
  )

  client(
    'git',
    () => isThere('git'),
    async () => {
      broker.forge.makeRepository(broker.folder)
      const told = await task.run('git', ['clone', '-q', 'https://forge.example/shop/site', 'copy'])
      expect(told).toMatchObject({ code: 0, err: '' })
      expect(existsSync(join(broker.tree, 'copy', 'page.html'))).toBe(true)
    },
  )

  /** They bring no credential of the lease, so what answers is its proxy: they trust it and were refused. */
  const REFUSED: readonly {
    name: string
    file: string
    args: readonly string[]
    probe?: readonly string[]
    env?: object
  }[] = [
    {
      name: 'pip',
      file: python,
      probe: ['-m', 'pip', '--version'],
      args: [
        ...['-m', 'pip', 'download', '--no-deps', '--retries=0', '-d', 'pip'],
        ...['--index-url', 'https://forge.example/shop/', 'me', '-vv'],
      ],
    },
    {
      name: 'cargo',
      file: 'cargo',
      args: ['install', '--index', 'sparse+https://forge.example/shop/', 'me'],
      env: RUST,
    },
    {
      name: 'aws',
      file: 'aws',
      args: ['--endpoint-url', 'https://forge.example/shop', 'sts', 'get-caller-identity'],
      env: {
        AWS_ACCESS_KEY_ID: 'AKIA',
        AWS_SECRET_ACCESS_KEY: 'x',
        AWS_DEFAULT_REGION: 'eu-west-1',
      },
    },
  ]
  for (const { name, file, args, env, probe } of REFUSED) {
    client(
      name,
      () => isThere(file, probe),
      async () => {
        const told = await task.run(file, args, { env: { AWS_MAX_ATTEMPTS: '1', ...env } })
        expect(told.code).not.toBe(0)
        const said = `${told.out}${told.err}`
        expect(said).not.toMatch(/SSL|certificate verify/i)
        expect(said).toMatch(/403|credential/i)
        expect(broker.forge.arrived.length).toBe(before)
      },
    )
  }
})

describe('tools and the logins that a person has', () => {
  const planted: string[] = []
  const plant = (name: string, text: string) => {
    planted.push(name)
    mkdirSync(join(broker.folder, name, '..'), { recursive: true })
    writeFileSync(join(broker.folder, name), text, { mode: 0o600 })
  }
  const shell = (line: string) => task.shell(line)

  client(
    'aws finds none',
    () => isThere('aws'),
    async () => {
      plant(
        '.aws/credentials',
        '[default]\naws_access_key_id=AKIAPLANTED\naws_secret_access_key=x\n',
      )
      plant('.aws/config', '[default]\nregion=eu-central-1\n')
      const { out, code } = await shell('aws configure list')
      expect([code, out?.includes('NTED'), out?.includes('eu-central-1')]).toEqual([
        0,
        false,
        false,
      ])
      expect((await shell('aws configure set region eu-west-3')).code).toBe(0)
      expect((await shell('aws configure get region')).out).toBe('eu-west-3\n')
    },
  )

  client(
    'gh finds none',
    () => isThere('gh'),
    async () => {
      plant('.config/gh/hosts.yml', 'github.com:\n    oauth_token: gho_planted\n    user: me\n')
      const { code, out, err } = await shell('gh auth status')
      expect(code).not.toBe(0)
      expect(`${out}${err}`).toContain('not logged into any')
    },
  )

  client(
    'kubectl finds none',
    () => isThere('kubectl', ['version', '--client']),
    async () => {
      plant(
        '.kube/config',
        'apiVersion: v1\nkind: Config\nusers:\n- name: me\n  user: {token: planted}\n',
      )
      const { code, out } = await shell('kubectl config view --raw')
      expect([code, out?.includes('planted')]).toEqual([0, false])
    },
  )

  client(
    'docker finds none, and can log out of none',
    () => isThere('docker'),
    async () => {
      plant('.docker/config.json', '{"auths":{"planted.example":{"auth":"cGxhbnRlZDp4"}}}')
      expect((await shell('docker logout planted.example')).code).toBe(0)
      expect(readFileSync(join(broker.folder, '.docker/config.json'), 'utf8')).toContain('cGxhbnRl')
    },
  )

  client(
    'gcloud finds none',
    () => isThere('gcloud'),
    async () => {
      plant(
        '.config/gcloud/configurations/config_default',
        '[core]\naccount = me@planted.example\n',
      )
      const { out } = await shell('gcloud config list --format=json')
      expect(out).not.toMatch(/planted/)
      expect(out).toContain('{')
    },
  )

  client(
    'psql finds none, and does not complain',
    () => isThere('psql'),
    async () => {
      plant('.pgpass', '127.0.0.1:*:*:*:planted\n')
      plant('.pg_service.conf', '[mine]\nhost=127.0.0.1\n')
      const { err } = await shell('psql "service=mine connect_timeout=5" -w -c "select 1"')
      expect(err).toMatch(/service (file )?".*" not found/)
      expect((await shell('psql -h 127.0.0.1 -p 1 -w -c "select 1"')).err).not.toMatch(/password/)
    },
  )

  it('are all where they were afterwards, and nothing of the task is left', async () => {
    const folder = join(task.env['AWS_CONFIG_FILE'] ?? '/nowhere/a/b', '..', '..')
    expect(existsSync(folder)).toBe(LEVEL === 'scrub')
    expect((await task.finish()).status).toBe(0)
    expect((await withJava.finish()).status).toBe(0)
    expect(existsSync(folder)).toBe(false)
    for (const name of planted) expect(existsSync(join(broker.folder, name)), name).toBe(true)
    await broker.settled()
    expect(existsSync(task.env['WGETRC'] ?? '')).toBe(false)
  })
})
