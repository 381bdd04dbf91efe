// For somebody with a Mac: builds the profile for a planted home and project, runs probes without it,
// at `mask` and at `confine`, and prints who got where. Ends with 0 if all is as intended. Nothing of the
// person's own is read or changed: npx node scripts/verify-seatbelt.mjs
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { hostFiles } from '../src/launch/isolate/file-view.ts'
import { seatbeltCommand } from '../src/launch/seatbelt/command.ts'
import { seatbeltProfile } from '../src/launch/seatbelt/profile.ts'

const bare = process.argv.includes('--bare')
if (process.platform !== 'darwin' && !bare) {
  console.error(
    'this is no Mac; --bare runs the probes without walls, to try the probes themselves',
  )
  process.exit(2)
}

// Not in the temporary files, which are closed as a whole, nor in the real home's hidden parts.
const base = realpathSync(mkdtempSync(join(bare ? '/var/tmp' : homedir(), 'seatbelt-check-')))
process.on('exit', () => rmSync(base, { recursive: true, force: true }))
const SECRET = 'SECRET-OF-THE-CHECK'
const [home, state] = [join(base, 'home'), join(base, 'home/state')]
const root = join(home, 'project')
const put = (path, text) => {
  mkdirSync(dirname(join(base, path)), { recursive: true })
  writeFileSync(join(base, path), text)
}
for (const path of [
  'home/.aws/credentials',
  'home/notes.txt',
  'home/.zshrc',
  'home/project/.env',
  'home/project/app/.env',
  'home/project/a") (allow default) ("/.env',
  'home/state/vault.age',
  'shared/other',
]) {
  put(path, SECRET)
}
put('home/.vimrc', 'set number')
put('home/project/.git/config', '[core]\n')
put('home/project/.git/hooks/keep', '')
put('home/project/src/main.js', 'ours')
mkdirSync(join(state, 'tmp'), { recursive: true })
mkdirSync(join(state, 'caches'))

async function serve(where) {
  const server = createServer((socket) => socket.on('error', () => {}).end(SECRET))
  server.listen(where)
  await once(server, 'listening')
  server.unref()
  return server.address().port
}
await serve(join(state, 'broker.sock'))
await serve(join(state, 'proxy.sock'))
await serve(join(root, 'project.sock'))
const [proxy, other] = [
  await serve({ port: 0, host: '127.0.0.1' }),
  await serve({ port: 0, host: '127.0.0.1' }),
]
const sleeper = spawn('sleep', ['600'], { env: { ...process.env, HELD: SECRET } })
process.on('exit', () => sleeper.kill())

const node = (code) => `"${process.execPath}" -e '${code}'`
const dial = (to) =>
  node(
    `require("net").connect(${to}).on("data", (d) => console.log(String(d))).on("error", () => {})`,
  )
const security = '/usr/bin/security'
const onMac = (code) => (bare ? `echo ${SECRET}` : code)

// [what, shell, which of bare, mask, confine may get there]: B, M, C.
const PROBES = [
  ['a place of keys', 'cat ~/.aws/credentials', 'B'],
  ['a file on no list', 'cat ~/notes.txt', 'B'],
  ['a start-up file', 'cat ~/.zshrc', 'B'],
  ['temporary files of others', `cat "${base}/shared/other"`, 'B'],
  ['a .env', 'cat .env', 'B'],
  ['a .env in a folder with a hostile name', 'cat a*/.env', 'B'],
  ['a second name of a .env', 'ln .env x && cat x; rm -f x', 'B'],
  [
    'a copy of a .env without reading',
    'cp -c .env x 2>/dev/null || cp .env x; cat x; rm -f x',
    'B',
  ],
  ['a .env in a folder that was renamed', 'mv app b && cat b/.env; mv b app', 'B'],
  ["the broker's vault", 'cat ~/state/vault.age', 'B'],
  ["the broker's socket", dial(`"${state}/broker.sock"`), 'B'],
  ['a socket in the project', dial('"project.sock"'), 'B'],
  ['git settings', `echo ${SECRET} >> .git/config; cat .git/config`, 'B'],
  ['a git hook', `echo ${SECRET} > .git/hooks/new; cat .git/hooks/new`, 'B'],
  ['a run-later file that was not there', `echo ${SECRET} > .mcp.json; cat .mcp.json`, 'B'],
  ['the same in capitals', `echo ${SECRET} > .CURSORRULES; cat .CURSORRULES .cursorrules`, 'B'],
  ['the git folder replaced', `mv .git g && echo ${SECRET}; mv g .git`, 'B'],
  ['a file beside the project', `echo ${SECRET} > ~/new; cat ~/new`, 'B'],
  ['the environment of others', onMac(`ps eww ${sleeper.pid}`), 'B'],
  ['a signal to others', `kill -0 ${sleeper.pid} && echo ${SECRET}`, 'B'],
  ['the keychain', onMac(`${security} list-keychains && echo ${SECRET}`), 'B'],
  ['the clipboard', onMac(`echo ${SECRET} | pbcopy; pbpaste`), 'B'],
  ['a job of launchd', onMac(`launchctl print gui/$(id -u) >/dev/null && echo ${SECRET}`), 'B'],
  ['an application started', onMac(`open -g -j -a Calculator && echo ${SECRET}`), 'B'],
  [
    'an application driven',
    onMac(`osascript -e 'tell app "Finder" to name' && echo ${SECRET}`),
    'B',
  ],
  ['a service of the loopback', dial(`${other}, "127.0.0.1"`), 'BM'],
  [
    'a name looked up',
    onMac(`dscacheutil -q host -a name apple.com | grep -q ip && echo ${SECRET}`),
    'BM',
  ],
  ['the proxy by its port', dial(`${proxy}, "127.0.0.1"`), 'BMC'],
  ['the proxy by its socket', dial(`"${state}/proxy.sock"`), 'BMC'],
  ['settings that are open', `cat ~/.vimrc | grep -q number && echo ${SECRET}`, 'BMC'],
  ['a file of the project', `echo ${SECRET} > src/main.js; cat src/main.js`, 'BMC'],
  ['a temporary file', `echo ${SECRET} > "$TMPDIR/x"; cat "$TMPDIR/x"`, 'BMC'],
  ['git at work', `git init -q src/r && git -C src/r status >/dev/null && echo ${SECRET}`, 'BMC'],
  [
    'a server of its own',
    node(
      `require("net").createServer().listen(0, "127.0.0.1", () => { console.log("${SECRET}"); process.exit() })`,
    ),
    'BMC',
  ],
]

const facts = {
  home,
  workTree: root,
  temporary: join(base, 'shared'),
  ownTemporary: join(state, 'tmp'),
  cacheFolder: join(state, 'caches'),
  brokerFolders: [state],
  // The Node of the probes, which may stand in the person's own home.
  ofLease: [dirname(dirname(process.execPath))],
  sockets: [join(state, 'proxy.sock')],
  ports: [proxy],
  allowWrite: [],
  agentState: [],
  alsoRead: [],
}

/** Asynchronously: the servers of the probes are in this process. */
async function reaches(level, code) {
  const inside =
    level === 'bare'
      ? { path: '/bin/sh', args: ['-c', code] }
      : seatbeltCommand(seatbeltProfile({ ...facts, level }, hostFiles), '/bin/sh', ['-c', code])
  const env = { PATH: process.env.PATH, HOME: home, TMPDIR: facts.ownTemporary }
  const child = spawn(inside.path, inside.args, {
    cwd: root,
    env,
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  const timer = setTimeout(() => child.kill('SIGKILL'), 15_000)
  let said = ''
  child.stdout.on('data', (part) => {
    said += part
  })
  await once(child, 'close')
  clearTimeout(timer)
  return said.includes(SECRET)
}

const LEVELS = bare ? ['bare'] : ['bare', 'mask', 'confine']
let wrong = 0
console.log(spawnSync('sw_vers', ['-productVersion'], { encoding: 'utf8' }).stdout ?? '')
console.log(`| probe | ${LEVELS.join(' | ')} |\n|---|${'---|'.repeat(LEVELS.length)}`)
for (const [what, code, may] of PROBES) {
  const cells = []
  for (const level of LEVELS) {
    const got = await reaches(level, code)
    const intended = may.includes(level[0].toUpperCase())
    if (got !== intended) wrong++
    cells.push(`${got ? 'gets there' : 'stopped'}${got === intended ? '' : ' (NOT AS INTENDED)'}`)
    for (const name of ['.mcp.json', '.CURSORRULES', '.git/hooks/new', 'src/r']) {
      rmSync(join(root, name), { recursive: true, force: true })
    }
    rmSync(join(home, 'new'), { force: true })
    put('home/project/.git/config', '[core]\n')
    put('home/project/src/main.js', 'ours')
  }
  console.log(`| ${what} | ${cells.join(' | ')} |`)
}
console.log(wrong === 0 ? '\nall as intended' : `\n${wrong} not as intended`)
process.exit(wrong === 0 ? 0 : 1)
