import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ROUTES, type RouteName } from '../../src/api/routes.ts'

/** The built product, as a user runs it. `npm test` builds it first. */
export const PACKAGE = join(import.meta.dirname, '../../dist-test')
export const BIN = join(PACKAGE, 'bin/run.js')

export interface Ran {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

interface RunOptions {
  readonly home: string
  readonly env?: Readonly<Record<string, string>>
  readonly input?: string | Uint8Array
  readonly cwd?: string
}

/** One command to its end; standard input is a pipe, so nothing here is a terminal. */
export function runBroker(args: readonly string[], options: RunOptions): Promise<Ran> {
  const child = spawn(process.execPath, [BIN, ...args], {
    cwd: options.cwd ?? options.home,
    env: environment(options.home, options.env),
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  child.stdin.on('error', () => {}) // it may end before it reads
  child.stdin.end(options.input ?? '')
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => resolve({ code, stdout, stderr }))
  })
}

/** Nothing of the machine that runs the tests: no NODE_ENV of vitest, no broker of the developer. */
export function environment(home: string, more: Readonly<Record<string, string>> = {}) {
  const { PATH = '' } = process.env
  return { PATH, HOME: home, TERM: 'xterm-256color', BROKER_HOME: home, ...more }
}

export function freshHome(): { readonly path: string; readonly remove: () => void } {
  const path = mkdtempSync(join(tmpdir(), 'broker-cli-'))
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) }
}

export interface Asked {
  readonly route: RouteName
  readonly url: string
  readonly body: unknown
  readonly bearer: string
}

type Reply = { readonly status?: number; readonly body: unknown }
type Script = Partial<Record<RouteName, (asked: Asked) => Reply | Promise<Reply>>>

/**
 * A real server on the socket of `home`, for answers that the real daemon cannot be brought to
 * give: hostile names, a locked vault, a broken chain. Newer than any CLI, so that it is kept.
 */
export async function scriptedDaemon(home: string, script: Script) {
  for (const folder of ['config', 'state', 'run']) {
    mkdirSync(join(home, folder), { recursive: true, mode: 0o700 })
  }
  writeFileSync(join(home, 'config/operator.key'), 'key-of-the-operator', { mode: 0o600 })
  const socket = join(home, 'run/broker.sock')
  const asked: Asked[] = []
  const health = { status: 'ok', version: '999.0.0', pid: process.pid, socket, home }
  const routes: Script = { health: () => ({ body: health }), ...script }
  const server: Server = createServer(async (request, response) => {
    let text = ''
    for await (const chunk of request) text += chunk
    const route = routeOf(
      request.method ?? '',
      new URL(request.url ?? '', 'http://broker').pathname,
    )
    const one: Asked = {
      route,
      url: request.url ?? '',
      body: text === '' ? undefined : JSON.parse(text),
      bearer: request.headers.authorization ?? '',
    }
    asked.push(one)
    const reply = (await routes[route]?.(one)) ?? failing('not_found', `no script for ${route}`)
    response.writeHead(reply.status ?? 200, { 'content-type': 'application/json' })
    response.end(JSON.stringify(reply.body))
  })
  await new Promise<void>((resolve) => server.listen(socket, resolve))
  const close = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve())
      server.closeAllConnections()
    })
  return { asked: (route: RouteName) => asked.filter((one) => one.route === route), close }
}

function routeOf(method: string, path: string): RouteName {
  for (const [name, route] of Object.entries(ROUTES)) {
    const pattern = new RegExp(`^${route.path.replace(/:\w+/g, '[^/]+')}$`)
    if (route.method === method && pattern.test(path)) return name as RouteName
  }
  throw new Error(`no route ${method} ${path}`)
}

export function failing(code: string, message: string, hint = 'try something else', status = 400) {
  return { status, body: { error: { code, message, hint, details: {} } } }
}
