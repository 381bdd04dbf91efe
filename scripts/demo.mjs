// The main job on a fresh machine, with nothing but this package: issue, use, look, end, proof.
// Everything happens in a temp folder; your own broker, if you have one, is not touched.
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const home = mkdtempSync(join(tmpdir(), 'broker-demo-'))
const broker = join(import.meta.dirname, '..', 'bin', 'run.js')
const env = { ...process.env, BROKER_HOME: home }
for (const name of Object.keys(env)) if (/^BROKER_(?!HOME$)/.test(name)) delete env[name]
const colour = process.stdout.isTTY && !process.env.NO_COLOR
const bold = (text) => (colour ? `\u001b[1m${text}\u001b[22m` : text)
const dim = (text) => (colour ? `\u001b[2m${text}\u001b[22m` : text)
let failed = false

function step(title) {
  console.log(`\n${bold(title)}`)
}

function check(ok, text) {
  console.log(`  ${ok ? 'ok' : 'NOT OK'}: ${text}`)
  if (!ok) failed = true
}

/** Runs the broker as a person would, showing the command. Returns its exit code and output. */
function run(args, { quiet = false, extra = {} } = {}) {
  const shown = args.map((arg) =>
    /[\s;&|'"]/.test(arg) ? `'${arg.replace(/\s+/g, ' ').slice(0, 60)}…'` : arg,
  )
  console.log(dim(`  $ broker ${shown.join(' ')}`))
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [broker, ...args], {
      env: { ...env, ...extra },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let text = ''
    const take = (chunk) => {
      text += chunk
      if (!quiet) process.stdout.write(String(chunk).replace(/^(?=.)/gm, '  '))
    }
    child.stdout.on('data', take)
    child.stderr.on('data', take)
    child.on('close', (code) => resolve({ code, text }))
  })
}

/** What an API of yours does with a token it is shown: it asks the broker (RFC 7662). */
function introspect(token) {
  const key = readFileSync(join(home, 'config', 'operator.key'), 'utf8').trim()
  const body = new URLSearchParams({ token }).toString()
  return new Promise((resolve, reject) => {
    const asking = request(
      {
        socketPath: join(home, 'run', 'broker.sock'),
        path: '/oauth/introspect',
        method: 'POST',
        headers: {
          authorization: `Bearer ${key}`,
          'content-type': 'application/x-www-form-urlencoded',
          'content-length': Buffer.byteLength(body),
        },
      },
      (answer) => {
        let text = ''
        answer.on('data', (chunk) => {
          text += chunk
        })
        answer.on('end', () => resolve(JSON.parse(text)))
      },
    )
    asking.on('error', reject)
    asking.end(body)
  })
}

// A small API of "yours": it lets in whoever shows a token that is still good, and remembers the
// token, as a careless log or a thief would.
let stolen
const api = createServer(async (incoming, answer) => {
  const token = incoming.headers.authorization?.replace(/^Bearer /, '') ?? ''
  const facts = await introspect(token)
  if (facts.active) stolen = token
  answer.writeHead(facts.active ? 200 : 401, { 'content-type': 'application/json' })
  answer.end(
    JSON.stringify(
      facts.active
        ? { hello: facts.sub, may: facts.scope, in: facts.env }
        : { error: 'the token is not good' },
    ),
  )
})
await new Promise((resolve) => api.listen(0, '127.0.0.1', resolve))
const url = `http://127.0.0.1:${api.address().port}/orders`

const task = `
  const key = process.env.AWS_SECRET_ACCESS_KEY
  console.log('task: the key from my shell is', key === undefined ? 'gone' : 'STILL HERE')
  const answer = await fetch(process.env.DEMO_API, {
    headers: { authorization: 'Bearer ' + process.env.BROKER_ACCESS_TOKEN },
  })
  console.log('task: the API says', answer.status, await answer.text())
  const { spawnSync } = await import('node:child_process')
  const seen = spawnSync(process.execPath, [process.env.DEMO_BROKER, 'tokens'], { encoding: 'utf8' })
  console.log(seen.stdout.trimEnd())
  process.exit(seen.status)
`

try {
  console.log(dim(`a broker of its own in ${home}`))
  step('1. A task gets a credential made for it: one environment, one scope, thirty minutes')
  const extra = {
    DEMO_API: url,
    DEMO_BROKER: broker,
    AWS_SECRET_ACCESS_KEY: 'a standing key of yours',
  }
  const ran = await run(
    [
      'exec',
      '--env',
      'staging',
      '--reason',
      'demo',
      '--',
      process.execPath,
      '--input-type=module',
      '-e',
      task,
    ],
    { extra },
  )
  check(ran.code === 0, 'the task ran and its exit code came through')
  check(ran.text.includes('is gone'), 'the standing key in the shell did not reach the task')
  check(ran.text.includes('the API says 200'), 'the API let the task in with its short-lived token')
  check(/staging/.test(ran.text) && /active/.test(ran.text), 'the live lease was there to be seen')

  step('2. The task has ended, and so has its access: the same token again')
  const again = await fetch(url, { headers: { authorization: `Bearer ${stolen}` } })
  console.log(`  the API says ${again.status} ${await again.text()}`)
  check(again.status === 401, 'the token is dead although its time is not over')

  step('3. A task that is killed, not ended')
  const child = spawn(
    process.execPath,
    [
      broker,
      'exec',
      '--quiet',
      '--env',
      'staging',
      '--',
      process.execPath,
      '-e',
      'fetch(process.env.DEMO_API, { headers: { authorization: "Bearer " + process.env.BROKER_ACCESS_TOKEN } }).then(() => setInterval(() => {}, 1e6))',
    ],
    { env: { ...env, ...extra }, stdio: 'ignore' },
  )
  const before = stolen
  await until(async () => stolen !== before)
  console.log(dim(`  $ kill -9 ${child.pid}   # the broker's own command line`))
  child.kill('SIGKILL')
  await until(async () => !(await introspect(stolen)).active)
  check(!(await introspect(stolen)).active, 'its token died with it')

  step('4. What happened, for whoever asks later')
  const all = await run(['tokens', '--all'])
  check(all.code === 0, 'every lease is listed with how it ended')
  const verified = await run(['audit', 'verify'])
  check(verified.code === 0, 'the log is whole')
} catch (error) {
  failed = true
  console.error(`the demo failed: ${error.message}`)
} finally {
  await run(['daemon', 'stop'], { quiet: true })
  api.close()
  api.closeAllConnections()
  rmSync(home, { recursive: true, force: true })
}
console.log(failed ? '\nsomething above is not as it should be' : '\nall of it held')
process.exit(failed ? 1 : 0)

/** Waits for a condition; gives up after ten seconds. */
async function until(condition) {
  for (const end = Date.now() + 10_000; Date.now() < end; ) {
    if (await condition()) return
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  throw new Error('waited ten seconds in vain')
}
