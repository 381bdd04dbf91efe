import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { Served } from '../fixtures/serve.ts'
import { ask, exchange, exchangeForm, LEASE_TOKEN, newToken, policy, Raw } from './serve-world.ts'

let served: Served
beforeAll(async () => {
  served = await Served.start(policy, { flags: ['--log-format', 'text'] })
})
afterAll(() => served?.dispose())

it('no key, token, handle, query or header is in a log line, a metric, an answer that refuses, or a file', async () => {
  const secrets: string[] = [served.operatorKey]
  const answers: string[] = []
  const bearer = served.operatorKey
  const token = async (changed = {}) => {
    const made = await newToken(served, changed)
    secrets.push(made, made.split('.')[2] ?? '')
    return made
  }

  const good = await exchange(served, exchangeForm(await token()))
  secrets.push(good.body.access_token)
  const used = await token()
  const lease = await exchange(served, exchangeForm(used, { requested_token_type: LEASE_TOKEN }), {
    headers: { 'idempotency-key': 'canary-idempotency' },
  })
  const { access_token: handle, lease_id: id } = lease.body
  secrets.push(handle, 'canary-idempotency')
  const credentials = { method: 'POST', path: `/v1/leases/${id}/credentials`, bearer: handle }
  secrets.push((await ask(served, credentials)).body.variables.BROKER_ACCESS_TOKEN)
  answers.push((await ask(served, credentials)).text)

  const bad = await token({ aud: 'https://other.example' })
  answers.push((await exchange(served, exchangeForm(used))).text)
  answers.push((await exchange(served, exchangeForm(bad))).text)
  answers.push((await exchange(served, exchangeForm(bad, { grant_type: bad }))).text)
  answers.push((await exchange(served, exchangeForm(bad, { [bad]: 'x' }))).text)
  secrets.push('canary-query', 'canary-header', 'canary-body', 'canary-key')
  const canaries = { 'x-canary': 'canary-header', cookie: 'canary-header' }
  for (const path of [
    '/nowhere?token=canary-query',
    '/v1/leases?cursor=canary-query&x=y',
    '/oauth/canary-query',
  ]) {
    answers.push((await ask(served, { path, bearer, headers: canaries })).text)
  }
  const json = { text: 'canary-body', extra: 1 }
  const check = { method: 'POST', path: '/v1/templates/check', json }
  answers.push((await ask(served, { ...check, bearer })).text)
  answers.push((await ask(served, { ...check, bearer: 'canary-key' })).text)
  answers.push((await ask(served, { ...check, bearer: bad })).text)
  for (const head of [`GET /${bad} HTTP/9`, `canary-body`, `GET / HTTP/1.1\r\n${handle}`]) {
    const raw = await Raw.tls(served)
    raw?.write(`${head}\r\n\r\n`)
    await raw?.closed
    answers.push(raw?.text ?? '')
  }
  const upgrade = await Raw.tls(served)
  upgrade?.write(
    `POST /v1/session HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: broker-session\r\nauthorization: Bearer ${bad}\r\n\r\n`,
  )
  await upgrade?.closed
  answers.push(upgrade?.text ?? '')
  answers.push((await ask(served, { path: '/metrics' })).text)
  answers.push((await ask(served, { path: '/v1/audit?limit=5000', bearer })).text)
  answers.push((await ask(served, { path: '/v1/leases?state=all', bearer })).text)
  expect(await served.stop()).toBe(0)

  for (const secret of secrets) {
    expect(secret.length).toBeGreaterThan(8)
    for (const answer of answers) expect(answer).not.toContain(secret)
    expect(served.log).not.toContain(secret)
    expect(served.out).not.toContain(secret)
  }
  expect(served.log).toContain('request')
  const kept = secrets.filter((secret) => secret !== served.operatorKey)
  const files = readdirSync(join(served.home, 'state'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.parentPath.includes('compile-cache'))
    .map((entry) => join(entry.parentPath, entry.name))
  expect(files.length).toBeGreaterThan(1)
  for (const file of files) {
    const bytes = readFileSync(file)
    for (const secret of kept) expect(bytes.includes(secret), `${file}`).toBe(false)
  }
})
