// One server that is a forge, a registry, a cloud and a cluster, as far as tools ask it anything.
import { execFileSync, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { CertificateAuthority } from '../../src/proxy/certificates.ts'

export const SITE = 'site.test'

export interface Site {
  readonly port: number
  readonly ca: string
  close(): void
}

type Handler = (request: IncomingMessage, response: ServerResponse, url: URL) => void

/** `folder` gets a repository to clone and to push to, and a package. */
export async function startSite(folder: string): Promise<Site> {
  const notAfter = new Date(Date.now() + 3_600_000)
  const authority = await CertificateAuthority.create('a server', new Date(), notAfter)
  const { chain, key } = await authority.leaf(SITE)
  const places: readonly (readonly [string, Handler])[] = [
    ['/git/', repository(join(folder, 'git'))],
    ['/npm/', registry(join(folder, 'npm'))],
    ['/api/v3/user', json({ login: 'octocat' })],
    ['/version', json({ major: '1', minor: '30', gitVersion: 'v1.30.0' })],
    ['/hello', (request, response) => response.end(`hello ${request.method}`)],
    ['/', cloud],
  ]
  const server = createServer({ cert: chain, key: key.reveal() }, (request, response) => {
    const url = new URL(request.url ?? '/', `https://${SITE}`)
    const [, handle = json({})] = places.find(([at]) => url.pathname.startsWith(at)) ?? []
    handle(request, response, url)
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  return { port: portOf(server), ca: authority.pem, close: () => server.close() }
}

function portOf(server: Server): number {
  return (server.address() as AddressInfo).port
}

const json =
  (value: unknown): Handler =>
  (_, response) => {
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify(value))
  }

/** git's own program for it (git-http-backend(1)). */
function repository(root: string): Handler {
  const bare = join(root, 'shop.git')
  const first = join(root, 'first')
  const git = (...args: string[]) => execFileSync('git', args, { stdio: 'ignore' })
  git('init', '-q', '-b', 'main', first)
  writeFileSync(join(first, 'page.html'), 'a page\n')
  git('-C', first, 'add', '.')
  const author = ['-c', 'user.name=x', '-c', 'user.email=x@x.example']
  git('-C', first, ...author, 'commit', '-qm', 'first')
  git('clone', '-q', '--bare', first, bare)
  git('-C', bare, 'config', 'http.receivepack', 'true')
  return (request, response, url) => {
    const child = spawn('git', ['http-backend'], {
      env: {
        PATH: process.env['PATH'],
        GIT_PROJECT_ROOT: root,
        GIT_HTTP_EXPORT_ALL: '1',
        PATH_INFO: url.pathname.slice('/git'.length),
        QUERY_STRING: url.search.slice(1),
        REQUEST_METHOD: request.method,
        CONTENT_TYPE: request.headers['content-type'] ?? '',
        HTTP_CONTENT_ENCODING: request.headers['content-encoding'] ?? '',
        GIT_PROTOCOL: String(request.headers['git-protocol'] ?? ''),
        REMOTE_USER: 'x',
      },
      stdio: ['pipe', 'pipe', 'ignore'],
    })
    request.pipe(child.stdin)
    const parts: Buffer[] = []
    child.stdout.on('data', (part: Buffer) => parts.push(part))
    child.once('close', () => answerCgi(Buffer.concat(parts), response))
  }
}

function answerCgi(output: Buffer, response: ServerResponse): void {
  const end = output.indexOf('\r\n\r\n')
  for (const line of output.toString('latin1', 0, end).split('\r\n')) {
    const [name = '', value = ''] = line.split(': ')
    if (name === 'Status') response.statusCode = Number.parseInt(value, 10)
    else response.setHeader(name, value)
  }
  response.end(output.subarray(end + 4))
}

/** One package, as `npm install` and `npm ci` ask for it. */
function registry(folder: string): Handler {
  mkdirSync(join(folder, 'package'), { recursive: true })
  const manifest = { name: 'far', version: '1.0.0', main: 'index.js' }
  writeFileSync(join(folder, 'package/package.json'), JSON.stringify(manifest))
  writeFileSync(join(folder, 'package/index.js'), "module.exports = 'the far part'\n")
  execFileSync('tar', ['-C', folder, '-czf', join(folder, 'far.tgz'), 'package'])
  const archive = readFileSync(join(folder, 'far.tgz'))
  const integrity = `sha512-${createHash('sha512').update(archive).digest('base64')}`
  const dist = { tarball: `https://${SITE}/npm/far/-/far-1.0.0.tgz`, integrity }
  const about = {
    name: 'far',
    'dist-tags': { latest: '1.0.0' },
    versions: { '1.0.0': { ...manifest, dist } },
  }
  return (request, response, url) =>
    url.pathname.endsWith('.tgz') ? response.end(archive) : json(about)(request, response, url)
}

/** AWS's answer to GetCallerIdentity, whoever asks. */
const cloud: Handler = (_, response) => {
  const who =
    '<Arn>arn:aws:iam::123456789012:user/of-the-test</Arn><UserId>u</UserId><Account>123456789012</Account>'
  response.setHeader('content-type', 'text/xml')
  response.end(
    `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>${who}</GetCallerIdentityResult></GetCallerIdentityResponse>`,
  )
}
