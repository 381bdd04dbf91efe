// Stands for everything else that runs as the person: run by the tests under that user. Holds a
// secret in its environment, arguments, memory and an open file, and serves it on every kind of socket.
import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  openSync,
  renameSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { createServer, type ListenOptions } from 'node:net'
import { startSecretService } from '../fixtures/secret-service.ts'

const world = process.env['W'] ?? ''
const canary = process.env['NEIGHBOUR_SECRET'] ?? ''
const held = [Buffer.from(`${canary} in memory`)]
process.chdir(`${world}/home`)
writeFileSync(`${world}/home/open-file`, canary)
openSync(`${world}/home/open-file`, 'r')

async function serve(options: ListenOptions): Promise<number> {
  const server = createServer((socket) => {
    socket.on('error', () => {})
    socket.end(`${canary}\n`)
  })
  server.listen(options)
  await once(server, 'listening')
  const address = server.address()
  return typeof address === 'object' && address ? address.port : 0
}

const abstract = `isolation-${process.pid}`
await serve({ path: `\0${abstract}` })
if (!existsSync(`${world}/broker/run/broker.sock`)) {
  await serve({ path: `${world}/broker/run/broker.sock` })
}
await serve({ path: `${world}/run/docker.sock` })
await serve({ path: `${world}/work/project/helper.sock` })
await serve({ path: `${process.env['RUNTIME']}/control` })
const screen = `/tmp/.X11-unix/X${process.pid}`
if (!existsSync('/tmp/.X11-unix')) {
  mkdirSync('/tmp/.X11-unix')
  chmodSync('/tmp/.X11-unix', 0o1777)
}
await serve({ path: screen })
// As a dev server does that is started outside while a task is at work.
const late = setInterval(() => {
  if (!existsSync(`${world}/work/project/wanted`)) return
  clearInterval(late)
  void serve({ path: `${world}/work/project/late.sock` })
}, 50)
const tcp4 = await serve({ port: 0, host: '0.0.0.0' })
const tcp6 = await serve({ port: 0, host: '::' })
const udp = createSocket('udp4', (_, from) => udp.send(canary, from.port, from.address))
udp.bind(0, '0.0.0.0')
await once(udp, 'listening')
const udp6 = createSocket('udp6', (_, from) => udp6.send(canary, from.port, from.address))
udp6.bind(0, '::')
await once(udp6, 'listening')
// As git and editors save: written beside it, then renamed.
const saving = setInterval(() => {
  if (!existsSync(`${world}/work/project/save-anew`)) return
  clearInterval(saving)
  writeFileSync(`${world}/work/lefthook.new`, 'pre-commit: {}\n')
  renameSync(`${world}/work/lefthook.new`, `${world}/work/project/lefthook.yml`)
  unlinkSync(`${world}/work/project/save-anew`)
}, 50)

const agentFolder = `/tmp/ssh-isolation${process.pid}`
mkdirSync(agentFolder, { mode: 0o700 })
const agentSocket = `${agentFolder}/agent.${process.pid}`
const agent = spawn('ssh-agent', ['-D', '-a', agentSocket], { stdio: 'ignore' })
const key = `${world}/home/agent-key`
execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'isolation-key', '-f', key])
const addKey = () =>
  spawnSync('ssh-add', [key], {
    env: { ...process.env, SSH_AUTH_SOCK: agentSocket },
    stdio: 'ignore',
  }).status
while (addKey() !== 0) await new Promise((resolve) => setTimeout(resolve, 20))

const gnupg = `${world}/home/.gnupg`
mkdirSync(gnupg, { recursive: true, mode: 0o700 })
const gpgconf = (...args: string[]) =>
  execFileSync('gpgconf', ['--homedir', gnupg, ...args], { encoding: 'utf8' })
gpgconf('--launch', 'gpg-agent')
const gpgSocket = gpgconf('--list-dirs', 'agent-socket').trim()

const tmuxSocket = `/tmp/tmux-isolation${process.pid}`
spawnSync('tmux', ['-S', tmuxSocket, '-f', '/dev/null', 'new-session', '-d', 'sleep 600'])
const terminal = spawnSync('tmux', ['-S', tmuxSocket, 'display-message', '-p', '#{pane_tty}'], {
  encoding: 'utf8',
}).stdout.trim()
const segment = /\d+/.exec(execFileSync('ipcmk', ['-M', '4096'], { encoding: 'utf8' }))?.[0] ?? ''

const secrets = await startSecretService()
spawnSync('secret-tool', ['store', '--label=x', 'isolation', 'canary'], {
  env: secrets.env,
  input: canary,
})

const end = async () => {
  spawnSync('tmux', ['-S', tmuxSocket, 'kill-server'])
  spawnSync('ipcrm', ['-m', segment])
  gpgconf('--kill', 'gpg-agent')
  agent.kill()
  named.kill()
  await secrets.stop()
  spawnSync('rm', ['-rf', agentFolder, tmuxSocket, screen, secrets.folder])
  process.exit(0)
}
const named = spawn('/bin/sleep', ['900'], { argv0: canary, stdio: 'ignore' })
process.stdin.resume()
process.stdin.on('end', end)
process.on('SIGTERM', end)

process.stdout.write(
  `${JSON.stringify({
    NEIGHBOUR: String(process.pid),
    ABSTRACT: abstract,
    TCP4: String(tcp4),
    TCP6: String(tcp6),
    UDP4: String(udp.address().port),
    UDP6: String(udp6.address().port),
    X11: screen,
    GPG_SOCKET: gpgSocket,
    SSH_AUTH_SOCK: agentSocket,
    TMUX_SOCKET: tmuxSocket,
    TERMINAL: terminal,
    SEGMENT: segment,
    BUS: secrets.env['DBUS_SESSION_BUS_ADDRESS'],
    DBUS_SESSION_BUS_ADDRESS: secrets.env['DBUS_SESSION_BUS_ADDRESS'],
    NAMED: String(named.pid),
    DOCKER: `${world}/run/docker.sock`,
    HELD: String(held.length),
  })}\n`,
)
