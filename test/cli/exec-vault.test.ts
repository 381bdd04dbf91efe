import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { TestBroker } from '../fixtures/broker.ts'

const SEALED = { BROKER_VAULT_PASSPHRASE: 'correct horse' }
let broker: TestBroker
beforeEach(async () => {
  broker = new TestBroker()
  expect((await broker.exec(['true'], [], { env: SEALED })).status).toBe(0)
  expect((await broker.run(['daemon', 'stop'])).status).toBe(0)
})
afterEach(() => broker.dispose())

describe('a vault sealed by a passphrase', () => {
  it('stays shut without it, and nothing runs', async () => {
    const result = await broker.exec(['echo', 'RAN'])
    expect(result.status).toBe(125)
    expect(result.out).toBe('')
    expect(result.err).toMatch(/\nhint: set BROKER_VAULT_PASSPHRASE, or run it in a terminal/)
  })

  it('stays shut to a wrong one, which is quoted nowhere', async () => {
    const env = { BROKER_VAULT_PASSPHRASE: 'wrong canary' }
    const result = await broker.exec(['echo', 'RAN'], [], { env })
    expect(result.status).toBe(125)
    expect(result.out).toBe('')
    expect(result.err).not.toContain('canary')
  })

  it('is opened by it, also when the daemon was started without', async () => {
    expect((await broker.exec(['true'])).status).toBe(125)
    expect((await broker.exec(['true'], [], { env: SEALED })).status).toBe(0)
    expect((await broker.exec(['true'])).status).toBe(0)
  })
})
