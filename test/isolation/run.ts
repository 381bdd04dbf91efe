import { type ChildProcess, spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Person } from './available.ts'
import type { World } from './world.ts'

export const NODE = process.execPath
const LAUNCH = join(import.meta.dirname, 'launch.ts')
const NEIGHBOUR = join(import.meta.dirname, 'neighbour.ts')
export const AS_NOBODY = ['setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups']

export interface Run {
  readonly level: 'scrub' | 'mask' | 'confine'
  readonly person: Person
  readonly path: string
  readonly args: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  readonly facts?: Readonly<Record<string, unknown>>
  readonly times?: boolean
  readonly probe?: boolean
  readonly still?: boolean
}

export function environmentOf(world: World): Record<string, string> {
  return {
    PATH: `${world.folder}/tools:${world.home}/.local/bin:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin`,
    HOME: world.home,
    W: world.folder,
    LANG: 'C.UTF-8',
    TERM: 'xterm',
    SHELL: '/bin/sh',
    ...world.shared,
  }
}

function factsOf(world: World, run: Run): Record<string, unknown> {
  return {
    level: run.level,
    uid: run.person === 'root' ? 0 : run.person === 'nobody' ? 65534 : process.getuid?.(),
    home: world.home,
    cwd: world.project,
    workTree: world.project,
    environment: environmentOf(world),
    leaseFolder: world.lease,
    cacheFolder: `${world.folder}/broker/caches`,
    brokerFolders: ['config', 'state', 'run'].map((name) => `${world.folder}/broker/${name}`),
    trust: { bundleFile: `${world.lease}/bundle.pem`, addedFile: `${world.lease}/ca.pem` },
    sockets: [],
    relays: [],
    names: [],
    ownFolders: [],
    allowWrite: [],
    agentState: [],
    alsoRead: [],
    machine: process.arch,
    terminalInput: true,
    inside: { node: NODE, program: world.inside },
    ...run.facts,
  }
}

/** The command line that launches such a task, for a test to spawn as it likes. */
export function commandFor(world: World, run: Run): readonly [string, ...string[]] {
  const order = join(world.folder, `order-${run.level}.json`)
  const { path, args, times = false, probe = false, still = false } = run
  const env = { ...environmentOf(world), ...run.env }
  writeFileSync(
    order,
    JSON.stringify({ facts: factsOf(world, run), path, args, env, times, probe, still }),
    {
      mode: 0o644,
    },
  )
  const before = run.person === 'nobody' ? AS_NOBODY : []
  // As a shell may have: a folder of the person's, open.
  return [
    'bash',
    '-c',
    'exec 200<"$0"; exec "$@"',
    world.home,
    ...before,
    NODE,
    '--no-warnings',
    LAUNCH,
    order,
  ]
}

export interface Ran {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

export async function launch(world: World, run: Run): Promise<Ran> {
  const [program, ...args] = commandFor(world, run)
  const child = spawn(program, args, {
    cwd: world.project,
    env: environmentOf(world),
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  return finish(child)
}

export async function finish(child: ChildProcess): Promise<Ran> {
  let stdout = ''
  let stderr = ''
  child.stdout?.on('data', (part: Buffer) => {
    stdout += part.toString('utf8')
  })
  child.stderr?.on('data', (part: Buffer) => {
    stderr += part.toString('utf8')
  })
  const status = await new Promise<number | null>((resolve) => child.once('close', resolve))
  return { status, stdout, stderr }
}

export interface Neighbour {
  readonly env: Readonly<Record<string, string>>
  stop(): Promise<void>
}

export async function startNeighbour(world: World, person: Person): Promise<Neighbour> {
  const [program = NODE, ...args] = [
    ...(person === 'nobody' ? AS_NOBODY : []),
    NODE,
    '--no-warnings',
    NEIGHBOUR,
  ]
  const child = spawn(program, args, {
    env: { ...environmentOf(world), NEIGHBOUR_SECRET: world.canary },
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const line = await new Promise<string>((resolve, reject) => {
    let text = ''
    child.stdout?.on('data', (part: Buffer) => {
      text += part.toString('utf8')
      if (text.includes('\n')) resolve(text)
    })
    child.once('exit', () => reject(new Error('the neighbour did not start')))
  })
  const stop = async () => {
    const ended = new Promise((resolve) => child.once('exit', resolve))
    child.stdin?.end()
    await ended
  }
  return { env: JSON.parse(line), stop }
}
