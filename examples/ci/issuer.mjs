// A small OpenID provider for trying CI at home: it signs identity tokens as GitHub Actions does, for a job
// that exists nowhere. Whoever reaches it and knows its request token is that job, so it listens on loopback.
//
//   node examples/ci/issuer.mjs --out FOLDER [--port 9443] [--set CLAIM=VALUE]...
import { randomBytes, randomUUID, timingSafeEqual } from 'node:crypto'
import { mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:https'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { CertificateAuthority } from '../../src/proxy/certificates.ts'

const { values } = parseArgs({
  options: {
    out: { type: 'string' },
    port: { type: 'string', default: '9443' },
    set: { type: 'string', multiple: true, default: [] },
  },
})
if (!values.out) fail('--out FOLDER is missing: where certificates and settings are written')
const out = resolve(values.out)

/** As in the reference of GitHub Actions: all text, numbers too. */
const claims = {
  sub: 'repo:octo-org/hello:ref:refs/heads/main',
  ref: 'refs/heads/main',
  ref_type: 'branch',
  ref_protected: 'true',
  sha: '7fd1a60b01f91b314f59955a4e4d4e80d8edf11d',
  repository: 'octo-org/hello',
  repository_id: '456789',
  repository_owner: 'octo-org',
  repository_owner_id: '123456',
  repository_visibility: 'private',
  run_id: String(Date.now()),
  run_number: '10',
  run_attempt: '1',
  check_run_id: '48000000001',
  actor: 'octocat',
  actor_id: '12',
  workflow: 'deploy',
  workflow_ref: 'octo-org/hello/.github/workflows/deploy.yml@refs/heads/main',
  job_workflow_ref: 'octo-org/hello/.github/workflows/deploy.yml@refs/heads/main',
  event_name: 'push',
  runner_environment: 'github-hosted',
}
for (const pair of values.set) {
  const at = pair.indexOf('=')
  if (at < 1) fail(`--set ${pair}: it has the form CLAIM=VALUE`)
  claims[pair.slice(0, at)] = pair.slice(at + 1)
}

const DAY_MS = 86_400_000
// The path by which the broker knows an installation of GitHub's own, with GitHub's rules.
const PATH = '/_services/token'
const kid = randomUUID()
const { privateKey, publicKey } = await generateKeyPair('RS256')
const keys = [{ ...(await exportJWK(publicKey)), kid, alg: 'RS256', use: 'sig' }]
const requestToken = randomBytes(32).toString('base64url')
const now = new Date()
const authority = await CertificateAuthority.create(
  'example',
  now,
  new Date(now.getTime() + DAY_MS),
)
const { chain, key } = await authority.leaf('127.0.0.1')
const server = createServer({ cert: chain, key: key.reveal() }, answer)
server.once('error', ({ code }) => fail(`cannot listen on 127.0.0.1:${values.port} (${code})`))
server.listen(Number(values.port), '127.0.0.1', ready)

async function answer(request, response) {
  const origin = `https://127.0.0.1:${server.address().port}`
  const issuer = origin + PATH
  const url = new URL(request.url, origin)
  const send = (status, body) =>
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
  if (request.method !== 'GET') return send(405, {})
  switch (url.pathname) {
    case `${PATH}/.well-known/openid-configuration`:
      return send(200, {
        issuer,
        jwks_uri: `${issuer}/.well-known/jwks`,
        response_types_supported: ['id_token'],
        subject_types_supported: ['public'],
        id_token_signing_alg_values_supported: ['RS256'],
      })
    case `${PATH}/.well-known/jwks`:
      return send(200, { keys })
    case '/request': {
      if (!isJob(request.headers.authorization)) return send(401, { message: 'not this job' })
      const audience = url.searchParams.get('audience') ?? 'https://github.com/octo-org'
      return send(200, { count: 1, value: await sign(issuer, audience) })
    }
    default:
      return send(404, {})
  }
}

function isJob(authorization = '') {
  const [expected, found] = [`Bearer ${requestToken}`, authorization].map((text) =>
    Buffer.from(text.replace(/^bearer /i, 'Bearer ')),
  )
  return expected.length === found.length && timingSafeEqual(expected, found)
}

function sign(issuer, audience) {
  const now = Math.floor(Date.now() / 1000)
  return new SignJWT({ ...claims })
    .setProtectedHeader({ alg: 'RS256', kid, typ: 'JWT' })
    .setIssuer(issuer)
    .setAudience(audience)
    .setJti(randomUUID())
    .setIssuedAt(now)
    .setNotBefore(now - 600)
    .setExpirationTime(now + 300)
    .sign(privateKey)
}

function ready() {
  const origin = `https://127.0.0.1:${server.address().port}`
  mkdirSync(out, { recursive: true, mode: 0o700 })
  const write = (name, text) => writeFileSync(join(out, name), text, { mode: 0o600 })
  write('ca.pem', authority.pem)
  // The same machine and the same authority, so broker serve can have them too.
  write('server.pem', chain)
  write('server.key', key.reveal())
  write('claims.json', `${JSON.stringify({ iss: origin + PATH, ...claims }, null, 2)}\n`)
  const settings = [
    `export ACTIONS_ID_TOKEN_REQUEST_URL='${origin}/request?api-version=2.0'`,
    `export ACTIONS_ID_TOKEN_REQUEST_TOKEN='${requestToken}'`,
    `export NODE_EXTRA_CA_CERTS='${join(out, 'ca.pem')}'`,
    '',
  ].join('\n')
  // Last and in one step: whoever sees the file finds everything else there.
  write('.job.env', settings)
  renameSync(join(out, '.job.env'), join(out, 'job.env'))
  process.stdout.write(`issuer ${origin}${PATH}\n${settings}`)
}

function fail(message) {
  process.stderr.write(`issuer: ${message}\n`)
  process.exit(2)
}
