import { X509Certificate } from 'node:crypto'
import { afterEach, expect, it, vi } from 'vitest'
import { SpareAuthority } from '../../src/daemon/spare-authority.ts'
import { CertificateAuthority } from '../../src/proxy/certificates.ts'

const HOUR = 3_600_000
const log = { info: () => {}, warn: () => {}, error: vi.fn() }
let now = Date.now()
let spare: SpareAuthority
afterEach(() => spare.close())

async function ready(create = CertificateAuthority.create): Promise<SpareAuthority> {
  spare = new SpareAuthority(create, () => now, log)
  spare.refill()
  return spare
}
const taken = async (until: number) => {
  await vi.waitUntil(() => spare.isReady)
  return spare.take(until)
}

it('is given out once, and another one is made', async () => {
  await ready()
  const first = await taken(now + HOUR)
  expect(first).toBeInstanceOf(CertificateAuthority)
  expect(spare.take(now + HOUR)).toBeUndefined()
  const second = await taken(now + HOUR)
  expect(second).toBeInstanceOf(CertificateAuthority)
  expect(second?.pem).not.toBe(first?.pem)
})

it('is not given to a lease that lives longer than its certificate', async () => {
  await ready()
  expect(await taken(now + 10 * HOUR)).toBeUndefined()
  await vi.waitUntil(() => spare.isReady)
  now += 2 * HOUR
  expect(spare.take(now + 8 * HOUR)).toBeUndefined()
})

it('issues no leaf that outlives the lease', async () => {
  await ready()
  const authority = await taken(now + HOUR)
  authority?.limitLeaves(new Date(now + HOUR))
  authority?.limitLeaves(new Date(now + 5 * HOUR))
  const { chain } = (await authority?.leaf('a.example')) ?? { chain: '' }
  const leaf = new X509Certificate(chain)
  expect(leaf.validToDate.getTime()).toBeLessThanOrEqual(now + HOUR)
})

it('is done without where it cannot be made', async () => {
  await ready(async () => {
    throw new Error('no entropy')
  })
  await vi.waitUntil(() => log.error.mock.calls.length > 0)
  expect(spare.take(now + HOUR)).toBeUndefined()
})
