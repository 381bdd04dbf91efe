import { createServer, type Server } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ProxiedProduct } from '../fixtures/proxied.ts'
import { hasBubblewrap, PERSONS, type Person } from './available.ts'
import { CANARY, EXEC, Machine, USUAL } from './machine.ts'

const NOWHERE = `version: 1
environments:
  staging:
    api: { provider: jwt, audience: https://api.staging.example }
templates:
  nowhere:
    environments: [staging]
    egress: []
    grants:
      api: { allow: [orders:read] }
`

const FETCH = `fetch('https://elsewhere.example/').then(
  () => console.log('REACHED'), (error) => console.log(String(error.cause?.message ?? error)))`

let machine: Machine

describe.runIf(hasBubblewrap()).each(PERSONS)('a task of broker exec, as %s', (person: Person) => {
  let outside: Server
  let port = 0
  beforeAll(async () => {
    machine = new Machine(person)
    await machine.apply(NOWHERE)
    outside = createServer((socket) => socket.end('HELLO FROM OUTSIDE')).listen(0, '127.0.0.1')
    await new Promise((resolve) => outside.once('listening', resolve))
    const address = outside.address()
    port = typeof address === 'object' && address ? address.port : 0
  })
  afterAll(async () => {
    outside.close()
    await machine.remove()
  })
  const levels = ['mask', 'confine'] as const
  const at = (level: string, code: string) => machine.sh(code, ['--isolation', level])
  const dial = `${process.execPath} -e "require('net').connect($0,'127.0.0.1').on('data',(d)=>console.log(''+d)).on('error',(e)=>console.log(e.code))"`

  it.each(levels)('cannot read a key of the person: %s', async (level) => {
    const read =
      'cat ~/.aws/credentials ~/.railway/config.json ~/notes.txt; echo "env=[$(cat .env)]"; cat main.js'
    const { out, err } = await at(level, read)
    expect(out).toBe('env=[]\nconsole.log("hello")\n')
    expect(err).not.toContain(CANARY)
    expect(err.match(/No such file/g)).toHaveLength(3)
  })

  it.each(levels)('finds nothing of the broker but its own socket: %s', async (level) => {
    const { out } = await at(
      level,
      'find / -name operator.key -o -name broker.sqlite -o -name broker.sock -o -name daemon.pid 2>/dev/null | grep -v ^/proc; ls ~/.config/broker; echo "$BROKER_SOCKET"; test -S "$BROKER_SOCKET" && echo socket',
    )
    expect(out).toBe('/run/broker/own/task.sock\nsocket\n')
  })

  it.each(levels)(
    'has places for its tools to log in to, which are not the person’s: %s',
    async (level) => {
      const log =
        'mkdir "$GH_CONFIG_DIR" && echo kept >"$GH_CONFIG_DIR/hosts.yml" && cat "$GH_CONFIG_DIR/hosts.yml"'
      expect(
        (await at(level, `${log}; cat "$AWS_SHARED_CREDENTIALS_FILE" 2>&1 | tail -c 28`)).out,
      ).toBe('kept\n: No such file or directory\n')
    },
  )

  it.each(levels)('can ask about its own lease and about nothing else: %s', async (level) => {
    const ask = (path: string) =>
      `curl -s -o /dev/null -w '%{http_code} ' --unix-socket "$BROKER_SOCKET" -H "Authorization: Bearer $BROKER_HANDLE" http://broker${path};`
    const { out } = await at(
      level,
      `${ask('/v1/leases/$BROKER_LEASE')}${ask('/v1/connections')}${ask('/v1/audit')}`,
    )
    expect(out.split(' ')[0]).toBe('200')
    expect(out).not.toMatch(/ 200/)
  })

  it.each(levels)('cannot start another task, and says so: %s', async (level) => {
    const bin = `${process.execPath} ${new URL('../../dist-test/bin/run.js', import.meta.url).pathname}`
    const flags = ['--isolation', level]
    const cwd = new URL('../..', import.meta.url).pathname
    if (person !== 'root') return // the product is in no folder that is shown there
    const { out, err } = await machine.sh(`${bin} exec --env staging -- echo RAN; echo $?`, flags, {
      cwd,
    })
    expect(out).toBe('125\n')
    expect(err).toContain('broker: an isolated task cannot start another one\n')
  })

  it('at confine reaches nothing outside, at mask the loopback', async () => {
    const code = dial.replace('$0', String(port))
    expect((await at('confine', code)).out).toBe('ECONNREFUSED\n')
    expect((await at('mask', code)).out).toBe('HELLO FROM OUTSIDE\n')
    const direct =
      'curl -sS --noproxy "*" -m 5 https://192.0.2.1/; curl -sS --noproxy "*" -m 5 https://example.com/'
    const { out, err } = await at('confine', direct)
    expect(out).toBe('')
    expect(err).toMatch(/Network is unreachable|Could.* connect|Failed to connect/i)
    expect(err).toMatch(/Could not resolve host/i)
  })

  it('at confine finds the proxy by its variables, which says no', async () => {
    const { out, err } = await at(
      'confine',
      `curl -sS -o /dev/null https://elsewhere.example/ -w '%{http_connect}\\n'; ${process.execPath} -e "${FETCH.replaceAll('\n', '')}"`,
    )
    const [connect, fetched] = out.split('\n')
    expect({ connect, err }).toMatchObject({ connect: '403' })
    expect(fetched).toMatch(/403|Proxy response|cancelled/)
  })
})

describe.runIf(hasBubblewrap())('a confined task with a proxied grant', () => {
  let broker: ProxiedProduct
  beforeAll(async () => {
    broker = await ProxiedProduct.start()
  })
  afterAll(() => broker.dispose())

  it('reaches its provider with curl and with fetch, through the proxy and with its roots', async () => {
    const body = '{"query":"{ __typename }"}'
    const url = 'https://backboard.railway.com/graphql/v2'
    const curl = `curl -sS ${url} -H "Project-Access-Token: $RAILWAY_TOKEN" -H 'content-type: application/json' -d '${body}'`
    const fetched = `fetch('${url}',{method:'POST',headers:{'project-access-token':process.env.RAILWAY_TOKEN,'content-type':'application/json'},body:'${body}'}).then((r)=>r.text()).then(console.log,console.log)`
    const script = `${curl}; echo; ${process.execPath} -e '${fetched.replaceAll("'", "'\\''")}'`
    const flags = [...EXEC, '--isolation', 'confine', '--template', 'work']
    const { status, out, err } = await broker.run([...flags, '--', 'sh', '-c', script], {
      cwd: broker.tree,
      env: { PATH: USUAL },
    })
    expect({ status, err }).toMatchObject({ status: 0 })
    expect(out).toBe('{"data":{"__typename":"Query"}}\n{"data":{"__typename":"Query"}}\n')
    expect(err).toContain('isolation confine')
  })
})
