import { execFile, spawnSync } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { rootCertificates } from 'node:tls'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { CertificateAuthority } from '../../src/proxy/certificates.ts'
import { openListener } from '../../src/proxy/listener.ts'
import { certificateBlocks, publicRoots } from '../../src/proxy/roots.ts'
import { World } from './world.ts'

/** What the CA may vouch for: so many that their list needs its length in two bytes. */
const HOSTS = ['api.test', ...Array.from({ length: 30 }, (_, at) => `api-${at}.provider.example`)]

let world: World
let folder: string
/** The listener's bundle, and the same without its CA: what a client has that was not told of it. */
let bundle: string
let others: string
beforeAll(async () => {
  world = await World.open()
  await world.listener.close()
  world.listener = await openListener({
    lease: 'lse_test',
    gate: world,
    at: 'loopback',
    notAfter: new Date(Date.now() + 3_600_000),
    hosts: HOSTS,
    resolve: async () => [{ address: '127.0.0.1', family: 4 }],
  })
  folder = mkdtempSync(join(tmpdir(), 'proxy-'))
  bundle = join(folder, 'bundle.pem')
  others = join(folder, 'others.pem')
  writeFileSync(bundle, world.listener.bundle)
  writeFileSync(others, publicRoots())
})
afterAll(async () => {
  await world.close()
  rmSync(folder, { recursive: true, force: true })
})
beforeEach(() => world.clear())

interface Run {
  readonly code: number
  readonly text: string
}

function run(file: string, args: readonly string[], variables: Record<string, string> = {}) {
  const proxy = `http://127.0.0.1:${world.listener.port}`
  const env = {
    PATH: process.env['PATH'],
    HOME: folder,
    HTTPS_PROXY: proxy,
    https_proxy: proxy,
    ...variables,
  }
  return new Promise<Run>((done) => {
    const child = execFile(file, args, { env, timeout: 50_000 }, (error, stdout, stderr) => {
      done({ code: error ? Number(error.code ?? 1) : 0, text: stdout + stderr })
    })
    child.stdin?.end()
  })
}

const PYTHON = `
import ssl, sys, urllib.request
trust = ssl.create_default_context(cafile=sys.argv[1])
trust.verify_flags |= ssl.VERIFY_X509_STRICT
open = urllib.request.build_opener(urllib.request.HTTPSHandler(context=trust)).open
print(open("https://api.test/x", timeout=20).read().decode())
`
const NODE = `
fetch('https://api.test/x').then((answer) => answer.text()).then(console.log)
`
const JAVA = `
import java.net.*;
class Get {
  public static void main(String[] args) throws Exception {
    System.out.println(new String(new URL("https://api.test/x").openStream().readAllBytes()));
  }
}
`

/** Each asks for https://api.test/x by its own means, with nothing but \`roots\` to go on. */
const CLIENTS: Record<string, (roots: string) => Promise<Run>> = {
  curl: (roots) =>
    run('curl', ['-sS', '-m', '20', 'https://api.test/x'], { CURL_CA_BUNDLE: roots }),
  wget: (roots) => {
    const settings = join(folder, 'wgetrc')
    writeFileSync(settings, `ca_certificate = ${roots}\n`)
    return run('wget', ['-nv', '-O-', '-t1', '-T20', 'https://api.test/x'], { WGETRC: settings })
  },
  openssl: (roots) => {
    const proxy = `127.0.0.1:${world.listener.port}`
    const to = ['-proxy', proxy, '-connect', 'api.test:443', '-servername', 'api.test']
    const strictly = ['-verify_return_error', '-verify_hostname', 'api.test', '-x509_strict']
    return run('openssl', ['s_client', ...to, '-CAfile', roots, '-no-CApath', ...strictly])
  },
  python3: (roots) => run('python3', ['-c', PYTHON, roots]),
  node: (roots) =>
    run(process.execPath, ['-e', NODE], { NODE_USE_ENV_PROXY: '1', NODE_EXTRA_CA_CERTS: roots }),
  git: (roots) =>
    run('git', ['ls-remote', 'https://api.test/x'], {
      GIT_SSL_CAINFO: roots,
      GIT_TERMINAL_PROMPT: '0',
    }),
  java: async (roots) => {
    const store = join(folder, `${roots === bundle ? 'bundle' : 'others'}.p12`)
    const ca = join(folder, 'ca.pem')
    writeFileSync(ca, roots === bundle ? world.listener.ca : (rootCertificates[0] ?? ''))
    const to = ['-keystore', store, '-storepass', 'changeit', '-storetype', 'PKCS12', '-noprompt']
    await run('keytool', ['-importcert', '-file', ca, '-alias', 'ca', ...to])
    writeFileSync(join(folder, 'Get.java'), JAVA)
    const trust = [
      `-Djavax.net.ssl.trustStore=${store}`,
      '-Djavax.net.ssl.trustStorePassword=changeit',
    ]
    const proxy = ['-Dhttps.proxyHost=127.0.0.1', `-Dhttps.proxyPort=${world.listener.port}`]
    return run('java', [...trust, ...proxy, join(folder, 'Get.java')])
  },
}

const there = (name: string) => {
  if (name === 'node') return true
  const found = (file: string) => spawnSync('sh', ['-c', `command -v ${file}`]).status === 0
  if (found(name) && (name !== 'java' || found('javac'))) return true
  // A whole JDK is asked of nobody.
  if (process.env['BROKER_TEST_CLIENTS'] === 'required' && name !== 'java') {
    throw new Error(`this test needs "${name}"`)
  }
  console.warn(`skipped: "${name}" is not there`)
  return false
}

/** What git takes for a repository: one branch (gitprotocol-http). */
const line = (text: string) => (text.length + 4).toString(16).padStart(4, '0') + text
const REFS = `${line('# service=git-upload-pack\n')}0000${line(`${'ab'.repeat(20)} refs/heads/main\0\n`)}0000`

for (const [name, ask] of Object.entries(CLIENTS)) {
  describe.runIf(there(name))(name, () => {
    it('that was not told of the CA refuses to speak to the proxy', async () => {
      const { code, text } = await ask(others)
      expect(code).not.toBe(0)
      expect(text).toMatch(/certificate|certification|issuer/i)
      expect(world.judged).toEqual([])
      expect(world.reached).toBe(0)
    })

    it('with the bundle trusts it', async () => {
      if (name === 'git') {
        const fields = [['content-type', 'application/x-git-upload-pack-advertisement']] as const
        world.judging = async () => ({
          kind: 'answer',
          answer: { status: 200, fields, body: REFS },
        })
      }
      const { code, text } = await ask(bundle)
      expect(text).toMatch(/fine GET \/x|Verify return code: 0|refs\/heads\/main/)
      expect(code).toBe(0)
    })
  })
}

describe('the bundle', () => {
  it('leaves out everything that is not a certificate', () => {
    const key = '-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n'
    const other = '-----BEGIN TRUSTED CERTIFICATE-----\nAAAA\n-----END TRUSTED CERTIFICATE-----\n'
    const certificate = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n'
    const folded = '-----BEGIN CERTIFICATE-----\r\nAA\r\nAA\r\n-----END CERTIFICATE-----'
    const texts = [`# comment\n${key}${certificate}${other}`, folded]
    expect(certificateBlocks(texts)).toBe(certificate)
  })

  it('is certificates alone: this CA first, every public root, each once', () => {
    const text = world.listener.bundle
    expect(text.startsWith(world.listener.ca)).toBe(true)
    const outside = text.replaceAll(
      /-----BEGIN CERTIFICATE-----\n[A-Za-z0-9+/=\n]+\n-----END CERTIFICATE-----\n/g,
      '',
    )
    expect(outside).toBe('')
    const blocks = text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\n/g) ?? []
    const prints = blocks.map((block) => new X509Certificate(block).fingerprint256)
    expect(new Set(prints).size).toBe(prints.length)
    for (const root of rootCertificates) {
      expect(prints).toContain(new X509Certificate(root).fingerprint256)
    }
  })

  it('vouches for one lease: another lease has another CA', async () => {
    const second = await World.open()
    expect(
      new X509Certificate(second.listener.ca).verify(
        new X509Certificate(world.listener.ca).publicKey,
      ),
    ).toBe(false)
    await second.close()
  })
})

describe('a CA that is limited to hosts', () => {
  const openssl = async (hosts: readonly string[], name: string) => {
    const end = new Date(Date.now() + 60_000)
    const authority = await CertificateAuthority.create('limited', new Date(), end, hosts)
    const leaf = join(folder, 'leaf.pem')
    const root = join(folder, 'root.pem')
    writeFileSync(leaf, (await authority.leaf(name)).chain)
    writeFileSync(root, authority.pem)
    return run('openssl', ['verify', '-x509_strict', '-no-CApath', '-CAfile', root, leaf])
  }

  for (const [name, hosts, host] of [
    ['another name', ['api.test'], 'other.test'],
    ['a name that only ends like one of them', ['api.test'], 'xapi.test'],
    ['the name above', ['api.test'], 'test'],
    ['an address', ['api.test'], '192.0.2.1'],
    ['an IPv6 address', ['api.test'], '2001:db8::1'],
    ['another address', ['192.0.2.1'], '192.0.2.2'],
    ['an address of the other family', ['192.0.2.1'], '2001:db8::1'],
    ['a name where only addresses are listed', ['192.0.2.1'], 'api.test'],
    ['anything where nothing is listed', [], 'api.test'],
  ] as const) {
    it.runIf(there('openssl'))(`is not trusted for ${name}`, async () => {
      const { code, text } = await openssl(hosts, host)
      expect(text).toMatch(/permitted subtree violation|excluded subtree violation/)
      expect(code).not.toBe(0)
    })
  }

  for (const [hosts, host] of [
    [['api.test'], 'api.test'],
    [['api.test'], 'below.api.test'],
    [HOSTS, 'api-29.provider.example'],
    [['192.0.2.1', 'api.test'], '192.0.2.1'],
    [['2001:db8::1'], '2001:db8::1'],
  ] as const) {
    it.runIf(there('openssl'))(`of ${hosts[0]} is trusted for ${host}`, async () => {
      expect(await openssl(hosts, host)).toMatchObject({ code: 0 })
    })
  }

  it.runIf(there('curl'))(
    'keeps a client from a host that was intercepted by mistake',
    async () => {
      world.routing = async () => ({ kind: 'intercept' })
      const curl = ['-sS', '-m', '20', '--cacert', bundle, 'https://bank.test/']
      const { code, text } = await run('curl', curl)
      expect(text).toMatch(/permitted subtree violation|certificate/)
      expect(code).toBe(60)
      expect(world.judged).toEqual([])
    },
  )
})
