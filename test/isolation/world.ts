// A person's machine with keys in the usual places, a project, and a broker's folders.
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import {
  chmodSync,
  copyFileSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { buildSync } from 'esbuild'
import type { Person } from './available.ts'

export interface World {
  readonly folder: string
  readonly home: string
  readonly project: string
  readonly lease: string
  readonly inside: string
  /** In everything that is to be out of reach. */
  readonly canary: string
  /** In what is known to stay within reach. */
  readonly open: string
  readonly shared: Readonly<Record<string, string>>
  remove(): void
}

const SOURCE = join(import.meta.dirname, '../../src/launch/isolate/inside.ts')
const NOBODY = 65534

export function makeWorld(person: Person, { withBroker = true } = {}): World {
  const asRoot = process.getuid?.() === 0
  // Not in the temp folder if that can be helped: a task has its own, and too much would be hidden by that alone.
  const folder = mkdtempSync(join(asRoot ? '/srv' : tmpdir(), 'isolation-'))
  chmodSync(folder, 0o755)
  const mark = randomBytes(8).toString('hex')
  const canary = `CANARY-${mark}`
  const open = `WITHIN-REACH-${mark}`
  const home = join(folder, 'home')
  const project = join(folder, 'work/project')
  const lease = join(folder, 'broker/run/lease')
  const put = (path: string, text: string, mode = 0o600) => {
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    writeFileSync(join(folder, path), text, { mode })
  }
  plantHome(put, canary)
  plantProject(put, canary, open)
  if (withBroker) plantBroker(put, canary)
  else mkdirSync(join(folder, 'broker'), { mode: 0o700 })
  put('run/keep', '')
  put('tools/broker', '#!/bin/sh\necho the broker\n', 0o755)
  symlinkSync('settings-real', join(project, '.env.linked'))
  const inside = join(folder, 'program/inside.cjs')
  buildSync({
    entryPoints: [SOURCE],
    bundle: true,
    platform: 'node',
    format: 'cjs',
    minify: true,
    outfile: inside,
  })
  const shared: Record<string, string> = {
    SHARED_TEMP: join(tmpdir(), `isolation-${mark}`),
    SHARED_MEMORY: `/dev/shm/isolation-${mark}`,
  }
  const runtime = join(
    asRoot ? '/run' : (process.env['XDG_RUNTIME_DIR'] ?? tmpdir()),
    `isolation-${mark}`,
  )
  mkdirSync(runtime, { mode: 0o700 })
  const etc: string[] = []
  if (person === 'root') {
    etc.push(`/etc/isolation-${mark}.secret`, `/etc/isolation-${mark}.txt`)
    shared['ETC_PROFILE'] = `/etc/profile.d/isolation-${mark}.sh`
    shared['ETC_SECRET'] = etc[0] ?? ''
    shared['ETC_FILE'] = etc[1] ?? ''
    symlinkSync(etc[1] ?? '', join(folder, 'etc-link'))
  }
  for (const path of [...Object.values(shared)]) writeFileSync(path, `${canary}\n`, { mode: 0o600 })
  shared['RUNTIME'] = runtime
  if (shared['ETC_PROFILE'] !== undefined) {
    writeFileSync(
      shared['ETC_PROFILE'],
      // Another run of these tests has a file of its own there.
      `export LEAKED_BY_${mark}_TOKEN=${canary}\n`,
    )
    chmodSync(shared['ETC_PROFILE'], 0o644)
  }
  makeRepository(project, canary, open)
  linkSync(join(project, '.env'), join(project, 'settings.bak'))
  if (person === 'nobody') {
    const all = [folder, shared['SHARED_TEMP'] ?? '', shared['SHARED_MEMORY'] ?? '', runtime]
    execFileSync('chown', ['-hR', `${NOBODY}:${NOBODY}`, ...all])
    copyFileSync('/usr/bin/id', join(project, 'suid-id'))
    chmodSync(join(project, 'suid-id'), 0o4755)
  }
  const remove = () => {
    // A dump that took too long is left beside it.
    const dumps = readdirSync(tmpdir()).filter((name) => name.includes(mark))
    const paths = [folder, ...Object.values(shared), ...dumps.map((name) => join(tmpdir(), name))]
    for (const path of paths) rmSync(path, { recursive: true, force: true })
  }
  return { folder, home, project, lease, inside, canary, open, shared, remove }
}

type Put = (path: string, text: string, mode?: number) => void

function plantHome(put: Put, canary: string): void {
  const token = canary
  put('home/.railway/config.json', `{"user":{"token":"${token}"}}`)
  put('home/.aws/credentials', `[default]\naws_secret_access_key = ${token}\n`)
  put('home/.ssh/id_ed25519', `-----BEGIN OPENSSH PRIVATE KEY-----\n${token}\n`)
  put('home/.ssh/known_hosts', 'host.example ssh-ed25519 AAAA\n')
  put('home/notes.txt', `remember ${token}\n`)
  put('home/.netrc', `machine x login y password ${token}\n`)
  put('home/.git-credentials', `https://u:${token}@host.example\n`)
  put('home/.npmrc', `registry=https://r.example/\n//r.example/:_authToken=${token}\n`)
  put('home/.config/gh/hosts.yml', `oauth_token: ${token}\n`)
  put('home/.docker/config.json', `{"auths":{"x":{"auth":"${token}"}}}`)
  put('home/.kube/config', `token: ${token}\n`)
  put('home/.bash_history', `export T=${token}\n`)
  put('home/.local/share/keyrings/login.keyring', token)
  put('home/.local/bin/tool', '#!/bin/sh\necho a tool of the person\n', 0o755)
  put('home/.cargo/bin/cargo', '#!/bin/sh\n', 0o755)
  put('home/.cargo/credentials.toml', token)
  put('home/.config/autostart/keep', '')
  put('home/.config/systemd/user/keep', '')
  put('home/.npm/keep', '')
  put('home/.my-agent/login', 'its own')
  put('home/.config/git/included', `[isolation]\n\tkey = ${token}\n`)
  put(
    'home/.gitconfig',
    `[user]\n\tname = A Person\n\temail = a@person.example\n[url "https://u:${token}@host.example/"]\n\tinsteadOf = h:\n[credential]\n\thelper = "!echo password=${token}"\n[http "https://x.example"]\n\textraHeader = Authorization: ${token}\n[include]\n\tpath = .config/git/included\n[safe]\n\tdirectory = *\n`,
  )
  put('home/.bashrc', `export GREETING=hello\nexport LEAKED_API_TOKEN=${token}\nalias ll='ls -l'\n`)
  put(
    'home/.profile',
    `if true; then\nexport LEAKED_PRIVATE_KEY="-----BEGIN KEY\n${token}\n-----END KEY"\nfi\nexport AFTER=after\n`,
  )
  put('other-home/.aws/credentials', token)
}

function plantProject(put: Put, canary: string, open: string): void {
  put('work/.env', `KEY=${canary}\n`)
  put('.env', `KEY=${canary}\n`)
  const files: Record<string, string> = {
    '.env': `KEY=${canary}\n`,
    'config/.env.production': `KEY=${canary}\n`,
    '.env.example': 'KEY=\n',
    'settings-real': `KEY=${canary}\n`,
    'deploy.pem': `-----BEGIN PRIVATE KEY-----\n${canary}\n-----END PRIVATE KEY-----\n`,
    '.npmrc': `//r.example/:_authToken=${canary}\n`,
    'remember.md': `${open}\n`,
    '.vscode/tasks.json': '{}\n',
    '.mcp.json': '{}\n',
    '.claude/settings.json': '{}\n',
    '.envrc': 'use flake\n',
    'lefthook.yml': 'pre-commit: {}\n',
    'broker.yaml': 'version: 1\n',
    'src/main.js': 'console.log("hello")\n',
  }
  for (const [name, text] of Object.entries(files)) put(`work/project/${name}`, text)
  put('work/project/scripts/on-push.sh', '#!/bin/sh\n', 0o755)
}

function plantBroker(put: Put, canary: string): void {
  put('broker/state/broker.sqlite', canary)
  put('broker/state/vault.age', canary)
  put('broker/config/operator.key', canary)
  put('broker/run/lease/bundle.pem', readFileSync('/etc/ssl/certs/ca-certificates.crt', 'utf8'))
  put('broker/run/lease/inside/empty', '')
  put('broker/run/lease/ca.pem', '')
  put('broker/caches/keep', '')
}

function makeRepository(project: string, canary: string, open: string): void {
  const git = (...args: string[]) =>
    execFileSync('git', ['-C', project, '-c', 'user.name=x', '-c', 'user.email=x@x', ...args], {
      stdio: 'ignore',
      env: { PATH: process.env['PATH'], HOME: '/nonexistent' },
    })
  git('init', '-q')
  writeFileSync(join(project, 'old.txt'), `${open}\n`)
  git('add', 'old.txt', 'src')
  git('commit', '-qm', 'first')
  git('rm', '-q', 'old.txt')
  git('commit', '-qm', 'second')
  symlinkSync('../../scripts/on-push.sh', join(project, '.git/hooks/pre-push'))
  mkdirSync(join(project, '.git/modules/part'), { recursive: true })
  writeFileSync(join(project, '.git/modules/part/HEAD'), 'ref: refs/heads/main\n')
  writeFileSync(join(project, '.git/modules/part/config'), `[core]\n${remote(canary)}`)
  git('config', 'remote.origin.url', `https://u:${canary}@host.example/shop.git`)
  git('config', 'http.https://host.example/.extraheader', `AUTHORIZATION: basic ${canary}`)
}

function remote(canary: string): string {
  return `[remote "origin"]\n\turl = https://u:${canary}@host.example/part.git\n`
}
