// Packs the package as it would be published, installs it globally into an empty prefix, and uses it
// from there: nothing but what is in the tarball, no install script.
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'

const root = join(import.meta.dirname, '..')
const work = mkdtempSync(join(tmpdir(), 'broker-pack-'))
const prefix = join(work, 'prefix')
const env = {
  ...process.env,
  BROKER_HOME: join(work, 'home'),
  BROKER_VAULT: 'file',
  PATH: [join(prefix, 'bin'), dirname(process.execPath), process.env.PATH].join(delimiter),
}

function run(command, args, options = {}) {
  return execFileSync(command, args, {
    env,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
    ...options,
  })
}

function expect(what, found, wanted) {
  if (!wanted.test(found)) throw new Error(`${what}: ${JSON.stringify(found)}`)
}

/** The crash points of test builds have no place in what people install. */
function refuseTestHooks() {
  const dist = join(root, 'dist')
  for (const entry of readdirSync(dist, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const path = join(entry.parentPath, entry.name)
    if (/process\.env\[?.{0,3}BROKER_FAULT|env\.BROKER_FAULT/.test(readFileSync(path, 'utf8'))) {
      throw new Error(`a test hook is in the package: ${path}`)
    }
  }
}

try {
  mkdirSync(prefix)
  run('npm', ['pack', '--silent', '--pack-destination', work], { cwd: root })
  const tarball = readdirSync(work).find((name) => name.endsWith('.tgz'))
  run('npm', [
    'install',
    '--silent',
    '--global',
    '--ignore-scripts',
    '--prefix',
    prefix,
    join(work, tarball),
  ])
  const version = run('broker', ['--version'])
  expect('broker --version', version, /^broker \d+\.\d+\.\d+/)
  const lent = run('broker', [
    'exec',
    '--quiet',
    '--env',
    'staging',
    '--',
    'sh',
    '-c',
    'echo "$BROKER_ENV" $(printf %s "$BROKER_ACCESS_TOKEN" | wc -c)',
  ])
  expect('broker exec', lent, /^staging \d{3,}\n$/)
  expect('broker tokens', run('broker', ['tokens', '--json']), /"leases": ?\[\s*\]/)
  expect('broker audit verify', run('broker', ['audit', 'verify']), /./)
  refuseTestHooks()
  console.log('the packed package installs and runs')
} catch (error) {
  console.error(error.message)
  process.exitCode = 1
} finally {
  try {
    run('broker', ['daemon', 'stop'])
  } catch {
    // it never started
  }
  rmSync(work, { recursive: true, force: true })
}
