import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** What the tests were last seen to pass with. */
const FROM_NPM = [
  '@anthropic-ai/claude-code@2.1.330',
  '@openai/codex@0.169.0',
  '@google/gemini-cli@0.61.0',
  'opencode-ai@1.18.33',
  '@github/copilot@1.0.102',
]
const FROM_PIP = 'aider-chat@0.86.2'.replace('@', '==')

/** They only put the program for this system, which is there already, into its place. */
const AFTERWARDS = [
  ['@anthropic-ai/claude-code', 'install.cjs'],
  ['opencode-ai', 'postinstall.mjs'],
] as const

/**
 * The folder with the agents (`bin/claude` …), or nothing without AGENTS_FOLDER. An empty one is filled: a few
 * minutes and 1.5 GB, so it is kept.
 */
export function agentsFolder(): string | undefined {
  const folder = process.env['AGENTS_FOLDER']
  if (folder === undefined) {
    console.warn('\nSKIPPED: the agents; AGENTS_FOLDER=<a folder> installs them there\n')
    return undefined
  }
  if (!existsSync(join(folder, 'bin/claude'))) installFromNpm(folder)
  if (!existsSync(join(folder, 'bin/aider'))) installAider(folder)
  return folder
}

function installFromNpm(folder: string): void {
  const quiet = ['--ignore-scripts', '--no-audit', '--no-fund']
  run('npm', ['install', '--global', '--prefix', folder, ...quiet, ...FROM_NPM])
  for (const [name, script] of AFTERWARDS) {
    run(process.execPath, [script], join(folder, 'lib/node_modules', name))
  }
}

/** With the system's Python, which is there behind a mask; without one, without aider. */
function installAider(folder: string): void {
  const library = join(folder, 'aider')
  const args = ['-m', 'pip', 'install', '--quiet', '--target', library, FROM_PIP]
  const python = ['/usr/bin/python3', 'python3'].find((one) => {
    return spawnSync(one, ['-m', 'pip', '--version']).status === 0
  })
  if (python === undefined) {
    console.warn('\nSKIPPED: aider, for there is no pip\n')
    return
  }
  run(python, args)
  mkdirSync(join(folder, 'bin'), { recursive: true })
  const beside = `PYTHONPATH="$(dirname "$0")/../aider" exec /usr/bin/python3 -m aider "$@"`
  writeFileSync(join(folder, 'bin/aider'), `#!/bin/sh\n${beside}\n`)
  chmodSync(join(folder, 'bin/aider'), 0o755)
}

function run(program: string, args: readonly string[], cwd?: string): void {
  const { status } = spawnSync(program, args, { stdio: 'inherit', ...(cwd ? { cwd } : {}) })
  if (status !== 0) throw new Error(`${program} ${args[0]} failed`)
}
