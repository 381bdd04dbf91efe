import { execFile, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { fetch, ProxyAgent } from 'undici'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { Stage } from './attacks/gate/stage.ts'

let stage: Stage
let before = 0
beforeAll(async () => {
  stage = await Stage.open('wide')
})
afterAll(() => stage.close())
beforeEach(() => {
  before = stage.arrived.length
})

const API = 'https://backboard.railway.com/graphql/v2'
const WHICH = 'query($id:String!){environment(id:$id){name}}'

const ask = (id: string) => JSON.stringify({ query: WHICH, variables: { id } })
const staging = () => stage.guarded.cloud.ids.staging
const arrived = () => stage.arrived.slice(before)

/** As a task finds its surroundings. */
function surroundings(): Record<string, string> {
  const { task } = stage
  const proxy = `http://127.0.0.1:${task.port}`
  const file = task.bundleFile
  return {
    PATH: process.env['PATH'] ?? '',
    HOME: stage.guarded.context.folder,
    HTTPS_PROXY: proxy,
    https_proxy: proxy,
    NODE_USE_ENV_PROXY: '1',
    NODE_EXTRA_CA_CERTS: file,
    CURL_CA_BUNDLE: file,
    SSL_CERT_FILE: file,
    REQUESTS_CA_BUNDLE: file,
    RAILWAY_TOKEN: task.phantom,
  }
}

function run(file: string, args: readonly string[], input = '') {
  return new Promise<{ code: number; text: string }>((done) => {
    const child = execFile(
      file,
      args,
      { env: surroundings(), timeout: 50_000 },
      (error, stdout, stderr) => {
        done({ code: error ? Number(error.code ?? 1) : 0, text: stdout + stderr })
      },
    )
    child.stdin?.end(input)
  })
}

const has = (file: string, args: readonly string[]) => spawnSync(file, args).status === 0

/** A client that is not on this machine is not tested, and says so; where all are required, it fails. */
function withClient(
  file: string,
  args: readonly string[],
  name: string,
  test: () => Promise<void>,
) {
  const required = process.env['BROKER_TEST_CLIENTS'] === 'required' && args[0] === '--version'
  const present = has(file, args) || required
  it.skipIf(!present)(present ? name : `${name} (skipped: "${file} ${args.join(' ')}" fails)`, test)
}

/** Asked, and answered out of the real upstream with the key that the client never saw. */
function expectPassed(text: string, times = 1): void {
  expect(text).toContain('"name":"staging"')
  expect(arrived()).toHaveLength(times)
  for (const { headers } of arrived()) {
    expect(headers).toContainEqual(['project-access-token', stage.names['minted']])
    expect(headers.map(([name]) => name.toLowerCase())).not.toContain('authorization')
  }
  expect(JSON.stringify(arrived())).not.toContain(stage.task.phantom)
}

const PYTHON_URLLIB = `
import json, os, sys, urllib.request
request = urllib.request.Request("${API}", data=sys.stdin.buffer.read(), headers={
    "Content-Type": "application/json", "Authorization": "Bearer " + os.environ["RAILWAY_TOKEN"]})
print(urllib.request.urlopen(request, timeout=30).read().decode())
`
const PYTHON_REQUESTS = `
import json, os, sys, requests
session = requests.Session()
session.headers["Project-Access-Token"] = os.environ["RAILWAY_TOKEN"]
body = json.loads(sys.stdin.read())
for _ in range(3):
    print(session.post("${API}", json=body, timeout=30).text)
`
const NODE_FETCH = `
let body = ''
for await (const piece of process.stdin) body += piece
const headers = { 'content-type': 'application/json', 'project-access-token': process.env.RAILWAY_TOKEN }
for (let n = 0; n < 3; n++) {
  const answer = await fetch('${API}', { method: 'POST', headers, body })
  console.log(answer.status, await answer.text())
}
`

describe('clients as they are installed', () => {
  const curl = (...args: string[]) =>
    run('curl', ['-sS', '-H', 'content-type: application/json', ...args, API], ask(staging()))
  const bearer = () => ['-H', `authorization: Bearer ${stage.task.phantom}`, '--data-binary', '@-']

  withClient('curl', ['--version'], 'curl', async () => {
    expectPassed((await curl('--http1.1', ...bearer())).text)
  })

  withClient('curl', ['--version'], 'curl over HTTP/2', async () => {
    expectPassed((await curl('--http2', ...bearer())).text)
  })

  withClient('curl', ['--version'], 'curl that asks before it sends', async () => {
    expectPassed((await curl('--http1.1', '-H', 'expect: 100-continue', ...bearer())).text)
  })

  withClient('curl', ['--version'], 'curl with a body of unknown length', async () => {
    expectPassed((await curl('--http1.1', '-H', 'transfer-encoding: chunked', ...bearer())).text)
  })

  withClient('curl', ['--version'], 'curl that takes packed answers', async () => {
    expectPassed((await curl('--compressed', ...bearer())).text)
  })

  withClient('curl', ['--version'], 'curl is refused what is refused, and can say so', async () => {
    const body = `{"query":"mutation{volumeDelete(volumeId:\\"${stage.names['pgdata']}\\")}"}`
    const args = ['-sS', '-f', '-H', 'content-type: application/json', ...bearer(), API]
    const { code, text } = await run('curl', args, body)
    expect(code).toBe(22)
    expect(text).toContain('403')
    expect(arrived()).toEqual([])
  })

  withClient('python3', ['--version'], 'python urllib', async () => {
    expectPassed((await run('python3', ['-c', PYTHON_URLLIB], ask(staging()))).text)
  })

  withClient('python3', ['-c', 'import requests'], 'python requests, three times', async () => {
    expectPassed((await run('python3', ['-c', PYTHON_REQUESTS], ask(staging()))).text, 3)
  })

  it('fetch of Node, three times', async () => {
    const args = ['--input-type=module', '-e', NODE_FETCH]
    expectPassed((await run(process.execPath, args, ask(staging()))).text, 3)
  })
})

describe('undici', () => {
  for (const allowH2 of [false, true]) {
    const over = allowH2 ? 'HTTP/2' : 'HTTP/1.1'
    const agent = () =>
      new ProxyAgent({
        uri: `http://127.0.0.1:${stage.task.port}`,
        allowH2,
        requestTls: { ca: stage.task.bundle },
        proxyTunnel: true,
      })
    const headers = () => ({
      'content-type': 'application/json',
      'project-access-token': stage.task.phantom,
    })

    it(`passes sixty requests, ten at a time, over ${over}`, async () => {
      const dispatcher = agent()
      const body = ask(staging())
      for (let round = 0; round < 6; round++) {
        const texts = await Promise.all(
          Array.from({ length: 10 }, async () => {
            const answer = await fetch(API, {
              method: 'POST',
              headers: headers(),
              body,
              dispatcher,
            })
            return answer.text()
          }),
        )
        for (const text of texts) expect(text).toContain('"name":"staging"')
      }
      await dispatcher.close()
      expectPassed('"name":"staging"', 60)
    })

    it(`streams an upload of eight megabytes over ${over}`, async () => {
      const dispatcher = agent()
      const pieces = Array.from({ length: 128 }, () => randomBytes(64 * 1024))
      const { cloud } = stage.guarded
      const answer = await fetch(
        `https://backboard.railway.com/project/${cloud.ids.shop}/environment/${staging()}/up?serviceId=${cloud.ids.web}`,
        {
          method: 'POST',
          headers: { 'project-access-token': stage.task.phantom },
          body: Readable.from(pieces),
          duplex: 'half',
          dispatcher,
        },
      )
      expect(answer.status).toBe(200)
      await dispatcher.close()
      expect(arrived()).toMatchObject([{ bytes: 128 * 64 * 1024, complete: true }])
      expect(cloud.world.uploads.at(-1)).toMatchObject({
        environmentId: staging(),
        bytes: 128 * 64 * 1024,
      })
    })
  }

  it('a refusal on a connection that is kept does not disturb what comes after it', async () => {
    const dispatcher = new ProxyAgent({
      uri: `http://127.0.0.1:${stage.task.port}`,
      requestTls: { ca: stage.task.bundle },
      connections: 1,
    })
    const post = async (query: string) => {
      const answer = await fetch(API, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          authorization: `Bearer ${stage.task.phantom}`,
        },
        body: JSON.stringify({ query }),
        dispatcher,
      })
      await answer.text()
      return answer.status
    }
    const wipe = `mutation{volumeDelete(volumeId:"${stage.names['pgdata']}")}`
    const own = `{environment(id:"${staging()}"){name}}`
    const statuses = []
    for (const query of [own, wipe, own, wipe, wipe, own]) statuses.push(await post(query))
    await dispatcher.close()
    expect(statuses).toEqual([200, 403, 200, 403, 403, 200])
    expect(arrived()).toHaveLength(3)
  })
})
