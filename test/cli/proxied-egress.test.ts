import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ProxiedProduct } from '../fixtures/proxied.ts'
import type { AgentTask } from '../fixtures/proxied-agent.ts'
import { codeOf, nameOf } from '../fixtures/proxied-requests.ts'

let broker: ProxiedProduct
let task: AgentTask
beforeAll(async () => {
  broker = await ProxiedProduct.start()
  task = await broker.startAgent(['--template', 'listed'])
})
afterAll(() => broker?.dispose())

const denied = async () =>
  (await broker.entries(task.lease)).filter(({ type }) => type === 'egress.denied')

/** `connect`: what the proxy said to CONNECT, 0 where there was none. */
async function curl(url: string, ...args: string[]) {
  const shown = ['-sS', '-m', '30', '--noproxy', '', '-w', '\n%{http_connect} %{http_code}']
  const { code, out = '' } = await task.run('curl', [...shown, ...args, url])
  const [text = '', line = ''] = out.split(/\n(?=\d+ \d+$)/)
  const [connect, status] = line.split(' ').map(Number)
  return { code, connect, status, refusal: codeOf({ text: text || '{}' }) }
}

describe('a task with a list of hosts', () => {
  it('does not reach another host, neither by TLS nor in the clear', async () => {
    expect(await curl('https://elsewhere.invalid/')).toMatchObject({ connect: 403, status: 0 })
    const plain = await curl('http://elsewhere.invalid/')
    expect(plain).toMatchObject({ status: 403, refusal: 'egress_denied' })
    expect((await denied()).map(({ data }) => [data['host'], data['code']])).toEqual([
      ['elsewhere.invalid', 'egress_denied'],
      ['elsewhere.invalid', 'egress_denied'],
    ])
  })

  it('does not reach this machine, whatever the address is called', async () => {
    for (const host of ['localhost', '127.0.0.2', '[::1]', '169.254.169.254']) {
      const { connect } = await curl(`https://${host}:${new URL(broker.forge.url).port}/`, '-k')
      expect([host, connect]).toEqual([host, 403])
    }
  })

  it('at the address of its grant is judged as at the host that it stands for, on any port', async () => {
    const asked = broker.forge.arrived.length
    for (const url of [broker.cloud.url, broker.forge.url]) {
      const without = await curl(`${url}/shop/me`, '-k')
      expect(without).toMatchObject({ status: 403, refusal: 'credential_missing' })
      const own = await curl(`${url}/shop/me`, '-k', '-H', 'project-access-token: $RAILWAY_TOKEN')
      expect(own).toMatchObject({ status: 403, refusal: 'operation_denied' })
    }
    expect(broker.forge.arrived).toHaveLength(asked)
    expect(broker.cloud.record.some(({ path }) => path.includes('/shop/me'))).toBe(false)
  })

  it.each(['nowhere.invalid', 'deep.nowhere.invalid'])(
    '%s is on it: only that nobody is there stands in the way',
    async (host) => {
      const before = (await denied()).length
      expect(await curl(`https://${host}/`)).toMatchObject({ connect: 502, status: 0 })
      const plain = await curl(`http://${host}/`)
      expect(plain).toMatchObject({ status: 502, refusal: 'upstream_failed' })
      expect(await denied()).toHaveLength(before)
    },
  )

  it('reaches what it was granted, listed or not', async () => {
    expect((await task.send(nameOf(broker.cloud.ids.staging))).text).toContain('"staging"')
  })

  it('is refused a key at a provider that it was not given', async () => {
    // Not on the list either: that alone keeps it away.
    const wish = {
      url: 'https://forge.example/shop/me',
      headers: { authorization: 'Bearer found' },
    }
    expect((await task.send(wish)).failed).toBeDefined()
    expect((await denied()).at(-1)?.data).toMatchObject({ host: 'forge.example' })
    await task.finish()
  })
})

describe('a task without a grant for a provider that is connected', () => {
  it('is refused a key there, and its person hears of it', async () => {
    const lone = await broker.startAgent(['--template', 'careful'])
    const asked = broker.forge.arrived.length
    const headers = { authorization: `Bearer @{${broker.foundKey}}` }
    for (const url of ['https://forge.example/shop/me', 'https://forge.example/shop/me']) {
      const told = await lone.send({ url, headers })
      expect([told.status, codeOf(told)]).toEqual([403, 'provider_not_granted'])
    }
    expect(broker.forge.arrived).toHaveLength(asked)
    // Without a key it may ask what anybody may, at the real address, where nobody is.
    const open = await lone.send({ url: 'https://forge.example/shop/me' })
    expect([open.status, codeOf(open)]).toEqual([502, 'upstream_failed'])
    expect(broker.forge.arrived).toHaveLength(asked)
    const { err } = await lone.finish()
    expect(err).toMatch(
      /broker: a key that is not this lease's was tried at forge\.example \(fingerprint \w{8}…, 2 times, refused\)/,
    )
    expect((await broker.lease(lone.lease)).foreignCredentials).toMatchObject([
      { host: 'forge.example', times: 2 },
    ])
    await broker.settled()
    expect(await broker.sightings()).toEqual([])
  })
})
