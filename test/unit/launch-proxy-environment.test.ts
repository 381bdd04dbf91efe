import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { ProxyView } from '../../src/api/types.ts'
import { gitVariables } from '../../src/launch/git-variables.ts'
import {
  type Files,
  PROXY_VARIABLES,
  proxyEnvironment,
  whyReplaced,
} from '../../src/launch/proxy-environment.ts'

import { recipePlaces, recipeTexts } from '../../src/launch/recipe/proxied-files.ts'

const run = promisify(execFile)
const PROXY: ProxyView = {
  url: 'http://127.0.0.1:4321',
  caFile: '/t/ca.pem',
  bundleFile: '/t/bundle.pem',
  gitHeaders: [],
}
const TRUST = { addedFile: '/t/ca.pem', bundleFile: '/t/bundle.pem' }
const FILES = {
  wgetrc: '/t/recipe/wgetrc',
  curlHome: '/t/recipe',
  phpFolder: '/t/recipe/php',
  javaTrustStore: undefined,
}
const of = (environment: Record<string, string>, proxy = PROXY, files: Files = FILES) =>
  proxyEnvironment(environment, proxy, TRUST, files)

/** As a caller may have them, passed by name or not. */
const AROUND = {
  ALL_PROXY: 'socks5://10.0.0.1',
  all_proxy: 'http://10.0.0.1',
  HTTPS_PROXY: 'http://10.0.0.1',
  https_proxy: 'http://10.0.0.1',
  Https_Proxy: 'http://10.0.0.1',
  NO_PROXY: '*',
  no_proxy: 'railway.com',
  npm_config_proxy: 'http://10.0.0.1',
  npm_config_https_proxy: 'http://10.0.0.1',
  npm_config_noproxy: '*',
  NPM_CONFIG_HTTPS_PROXY: 'http://10.0.0.1',
  YARN_HTTPS_PROXY: 'http://10.0.0.1',
  CARGO_HTTP_PROXY: 'http://10.0.0.1',
  PIP_PROXY: 'http://10.0.0.1',
  GLOBAL_AGENT_NO_PROXY: '*',
  grpc_proxy: 'http://10.0.0.1',
  no_grpc_proxy: '*',
  CLOUDSDK_PROXY_ADDRESS: '10.0.0.1',
  SSL_CERT_DIR: '/etc/ssl/certs',
  NPM_CONFIG_CAFILE: '/company.pem',
  Npm_Config_Cafile: '/company.pem',
  WGETRC: '/company.wgetrc',
  CURL_HOME: '/company',
}

describe('a proxied task', () => {
  it('keeps nothing that would lead around its proxy', () => {
    const result = of(AROUND)
    expect(JSON.stringify(result)).not.toMatch(/10\.0\.0\.1|railway|company|"\*"/)
    for (const name of Object.keys(AROUND)) expect(whyReplaced(name), name).toBeTypeOf('string')
    expect(Object.keys(result).filter((name) => /all_proxy|ssl_cert_dir/i.test(name))).toEqual([])
  })

  it('keeps the rest, also what only sounds like it', () => {
    const rest = { PATH: '/bin', GOPROXY: 'direct', VITE_PROXY: '1', V: 'v', PGSSLROOTCERT: '/x' }
    expect(of(rest)).toMatchObject(rest)
  })

  it('gets the proxy in both cases, this machine excepted, and the certificates', () => {
    const result = of({})
    for (const name of ['HTTPS_PROXY', 'https_proxy', 'HTTP_PROXY', 'http_proxy']) {
      expect(result[name]).toBe(PROXY.url)
    }
    for (const name of ['NO_PROXY', 'no_proxy'])
      expect(result[name]).toBe('localhost,127.0.0.1,::1')
    expect(result).toMatchObject({ NODE_USE_ENV_PROXY: '1', GIT_TERMINAL_PROMPT: '0' })
    expect(result['NODE_EXTRA_CA_CERTS']).toBe('/t/ca.pem')
    const bundled = Object.keys(result).filter((name) => result[name] === '/t/bundle.pem')
    expect(bundled.sort()).toEqual(
      (
        'AWS_CA_BUNDLE CARGO_HTTP_CAINFO CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE CODEX_CA_CERTIFICATE ' +
        'CURL_CA_BUNDLE DENO_CERT GIT_SSL_CAINFO GRPC_DEFAULT_SSL_ROOTS_FILE_PATH HTTPLIB2_CA_CERTS ' +
        'NIX_SSL_CERT_FILE PERL_LWP_SSL_CA_FILE PIP_CERT REQUESTS_CA_BUNDLE SSL_CERT_FILE npm_config_cafile'
      ).split(' '),
    )
  })

  it('gets places of settings in the lease’s folder, those of PHP behind its own', () => {
    const result = of({ PHP_INI_SCAN_DIR: '/mine' })
    expect(result).toMatchObject({ WGETRC: FILES.wgetrc, CURL_HOME: FILES.curlHome })
    expect(result['PHP_INI_SCAN_DIR']).toBe('/mine:/t/recipe/php')
    expect(of({})['PHP_INI_SCAN_DIR']).toBe(':/t/recipe/php')
    expect(result['PERL_LWP_ENV_PROXY']).toBe('1')
  })

  it('gets options for Java only where there is a file of roots for it, behind those that were passed', () => {
    expect(of({ JAVA_TOOL_OPTIONS: '-Xmx1g' })['JAVA_TOOL_OPTIONS']).toBe('-Xmx1g')
    expect(of({})).not.toHaveProperty('JAVA_TOOL_OPTIONS')
    const files = { ...FILES, javaTrustStore: "/o'b/roots.jks" }
    const options =
      '-Dhttp.proxyHost=127.0.0.1 -Dhttp.proxyPort=4321 -Dhttps.proxyHost=127.0.0.1 ' +
      `-Dhttps.proxyPort=4321 -Djavax.net.ssl.trustStore="/o'b/roots.jks" -Djavax.net.ssl.trustStoreType=JKS`
    expect(of({}, PROXY, files)['JAVA_TOOL_OPTIONS']).toBe(options)
    expect(of({ JAVA_TOOL_OPTIONS: '-Xmx1g' }, PROXY, files)['JAVA_TOOL_OPTIONS']).toBe(
      `-Xmx1g ${options}`,
    )
  })

  it('leaves no switch of Node in NODE_OPTIONS, which older ones would stop at', () => {
    expect(of({})).not.toHaveProperty('NODE_OPTIONS')
  })

  it('gets nothing that --dry-run does not name', () => {
    const named = PROXY_VARIABLES.flatMap((names) => names.split(', '))
    const plain = Object.keys(of({})).map((name) => name.replace(/_\d+$/, '_n'))
    expect([...new Set(plain)].sort()).toEqual([...named].sort())
  })
})

describe('settings for git', () => {
  const pairs = (variables: Record<string, string>) =>
    Array.from({ length: Number(variables['GIT_CONFIG_COUNT']) }, (_, index) => [
      variables[`GIT_CONFIG_KEY_${index}`],
      variables[`GIT_CONFIG_VALUE_${index}`],
    ])

  it('never hold half an entry, which would stop git', () => {
    const torn = {
      GIT_CONFIG_COUNT: '4',
      GIT_CONFIG_KEY_0: 'a.b',
      GIT_CONFIG_VALUE_1: 'x',
      GIT_CONFIG_KEY_2: 'c.d',
      GIT_CONFIG_VALUE_2: '2',
      GIT_CONFIG_KEY_9: 'over.count',
      GIT_CONFIG_VALUE_9: '9',
    }
    expect(pairs(gitVariables(torn, PROXY))[0]).toEqual(['c.d', '2'])
    expect(Object.values(of(torn))).not.toContain('9')
    for (const count of ['', 'x', '-1', '1e9']) {
      const variables = gitVariables({ ...torn, GIT_CONFIG_COUNT: count }, PROXY)
      expect(variables['GIT_CONFIG_COUNT'], count).toBe('2')
    }
  })

  it('stand behind those that were kept', () => {
    const kept = {
      GIT_CONFIG_COUNT: '2',
      GIT_CONFIG_KEY_0: 'user.name',
      GIT_CONFIG_VALUE_0: 'a',
      GIT_CONFIG_KEY_1: 'credential.helper',
      GIT_CONFIG_VALUE_1: 'store',
    }
    const gitHeaders = [{ url: 'https://git.test/', header: 'Authorization: Basic eA==' }]
    expect(pairs(gitVariables(kept, { ...PROXY, gitHeaders }))).toEqual([
      ['user.name', 'a'],
      ['credential.helper', 'store'],
      ['credential.helper', ''],
      ['http.proxy', PROXY.url],
      ['http.https://git.test/.extraHeader', ''],
      ['http.https://git.test/.extraHeader', 'Authorization: Basic eA=='],
    ])
  })
})

describe('real programs', () => {
  let server: Server
  let folder = ''
  let arrived: { url: string; authorization: string[] }[] = []
  let proxy: ProxyView

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'proxied-'))
    server = createServer((request, response) => {
      const authorization = request.headersDistinct['authorization'] ?? []
      arrived.push({ url: request.url ?? '', authorization })
      response.statusCode = 401
      response.setHeader('www-authenticate', 'Basic realm="x"')
      response.end()
    })
    server.on('connect', (request, socket) => {
      arrived.push({ url: `CONNECT ${request.url}`, authorization: [] })
      socket.end('HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n')
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    mkdirSync(join(folder, 'recipe', 'php'), { recursive: true })
    for (const [path, text] of recipeTexts(recipePlaces(join(folder, 'recipe')), '/t/bundle.pem')) {
      writeFileSync(path, text)
    }
    // As people have them whose company has a proxy of its own.
    writeFileSync(join(folder, '.curlrc'), 'proxy = http://127.0.0.1:1\n')
    writeFileSync(join(folder, '.wgetrc'), 'https_proxy = http://127.0.0.1:1\n')
    writeFileSync(join(folder, '.npmrc'), 'https-proxy = http://127.0.0.1:1\nfetch-retries = 0\n')
    const gitHeaders = [{ url: 'http://git.invalid/', header: 'Authorization: Basic cGhhbnRvbQ==' }]
    proxy = { ...PROXY, url: `http://127.0.0.1:${port}`, gitHeaders }
    const helper = `!echo username=u; echo password=standing; touch ${folder}/asked; :`
    writeFileSync(
      join(folder, '.gitconfig'),
      [
        '[http]',
        'proxy = http://127.0.0.1:1',
        '[http "http://git.invalid/"]',
        'extraHeader = Authorization: Basic c3RhbmRpbmc=',
        '[credential "http://git.invalid"]',
        `helper = "${helper}"`,
      ].join('\n'),
    )
  })
  afterAll(() => {
    server.close()
    rmSync(folder, { recursive: true })
  })

  /** What arrived at the proxy while it ran; that the program itself fails is expected. */
  async function through(program: string, args: readonly string[]) {
    arrived = []
    const caller = { PATH: process.env['PATH'] ?? '', HOME: folder, ...AROUND }
    const places = { ...recipePlaces(join(folder, 'recipe')), javaTrustStore: undefined }
    const failure = await run(program, args, { env: of(caller, proxy, places) }).catch(
      (error) => error,
    )
    if (failure.code === 'ENOENT') {
      if (process.env['CI']) throw new Error(`this test needs ${program}`)
      console.warn(`SKIPPED: no ${program} here`)
      return undefined
    }
    return arrived
  }

  const fetched = (url: string) => `fetch('${url}').catch(() => {})`
  const programs = [
    { program: 'curl', args: ['-s', 'http://a.invalid/x'], url: 'http://a.invalid/x' },
    { program: 'curl', args: ['-s', 'https://a.invalid/x'], url: 'CONNECT a.invalid:443' },
    {
      program: process.execPath,
      args: ['-e', fetched('https://a.invalid/x')],
      url: 'CONNECT a.invalid:443',
    },
    {
      program: process.execPath,
      args: ['-e', "require('https').get('https://a.invalid/x').on('error', () => {})"],
      url: 'CONNECT a.invalid:443',
    },
    {
      program: 'python3',
      args: ['-c', "import urllib.request as u; u.urlopen('http://a.invalid/x')"],
      url: 'http://a.invalid/x',
    },
    {
      program: 'wget',
      args: ['-q', '--tries=1', '-O-', 'https://a.invalid/x'],
      url: 'CONNECT a.invalid:443',
    },
    {
      program: 'npm',
      args: ['view', 'x', '--registry=https://a.invalid/', '--no-update-notifier'],
      url: 'CONNECT a.invalid:443',
    },
  ]
  it.each(programs)('$program goes through it to $url', async ({ program, args, url }) => {
    const seen = await through(program, args)
    if (seen) expect(seen[0]?.url).toBe(url)
  })

  it('git sends the header of the lease, and none of the standing keys', async () => {
    const seen = await through('git', ['ls-remote', 'http://git.invalid/o/r.git'])
    if (seen === undefined) return
    expect(seen.length).toBeGreaterThan(0)
    for (const { url, authorization } of seen) {
      expect(url).toContain('http://git.invalid/o/r.git/info/refs')
      expect(authorization).toEqual(['Basic cGhhbnRvbQ=='])
    }
    const { existsSync } = await import('node:fs')
    expect(existsSync(join(folder, 'asked'))).toBe(false)
  })
})
