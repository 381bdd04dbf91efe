// An editor as VS Code is built: one process for all windows of a user data folder, which takes over what a
// later start is given; a launcher that starts it apart from itself and waits, if asked, for the window.
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, rmSync, watch, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'

const args = process.argv.slice(2)
const at = args.indexOf('--user-data-dir')
const folder = at < 0 ? process.env.USUAL_USER_DATA : args[at + 1]
mkdirSync(folder, { recursive: true })
process.chdir(folder) // the path of a socket is short
const socket = 'main.sock'

if (process.env.FAKE_EDITOR_MAIN) main()
else launcher()

function main() {
  rmSync(socket, { force: true }) // of one that was killed
  const server = createServer((line) => line.end('taken'))
  server.listen(socket, () => {
    writeFileSync(join(folder, 'code.lock'), String(process.pid))
    writeFileSync(join(folder, 'window.json'), JSON.stringify(process.env))
  })
  const screen = connect(process.env.WAYLAND_DISPLAY ?? '/nowhere')
  screen.once('connect', () => writeFileSync(join(folder, 'shown'), ''))
  screen.once('error', () => {})
  // Until somebody closes its window.
  const closed = join(folder, 'close')
  const look = () => {
    if (!existsSync(closed)) return
    rmSync(closed)
    process.exit(0)
  }
  watch(folder, look)
  look()
}

function launcher() {
  const line = connect(socket)
  line.once('error', () => {
    const env = { ...process.env, FAKE_EDITOR_MAIN: '1' }
    const window = spawn(process.execPath, process.argv.slice(1), {
      env,
      detached: true,
      stdio: 'ignore',
    })
    if (!args.includes('--wait') || process.env.FAKE_EDITOR_RETURNS) window.unref()
  })
  line.on('data', () => process.exit(0))
}
