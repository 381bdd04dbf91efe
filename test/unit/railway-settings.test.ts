import { describe, expect, it } from 'vitest'
import { isBrokerError } from '../../src/errors.ts'
import type { JsonObject } from '../../src/lib/json.ts'
import { Secret } from '../../src/lib/secret.ts'
import type { Connection } from '../../src/providers/provider.ts'
import { createRailway } from '../../src/providers/railway/provider.ts'
import { createRegistry } from '../../src/providers/registry.ts'

const PROJECT = '0a1b2c3d-0000-4000-8000-000000000001'
const ENVIRONMENT = '0a1b2c3d-0000-4000-8000-000000000002'
const railway = createRailway()
const { guard } = railway

const connection = (settings: JsonObject = {}, secret = 'a-token'): Connection => ({
  name: 'rail',
  secret: new Secret(secret),
  settings,
})

function refusal(work: () => unknown) {
  try {
    work()
  } catch (error) {
    if (isBrokerError(error)) return error
    throw error
  }
  throw new Error('not refused')
}

describe('the target of a railway grant', () => {
  it.each<[string, JsonObject, string]>([
    ['no project', { environment: ENVIRONMENT }, 'project'],
    ['no environment', { project: PROJECT }, 'environment'],
    ['a name for an id', { project: 'shop', environment: ENVIRONMENT }, 'project'],
    ['an id in capitals', { project: PROJECT.toUpperCase(), environment: ENVIRONMENT }, 'project'],
    ['an id with a blank', { project: PROJECT, environment: `${ENVIRONMENT} ` }, 'environment'],
    ['ids in a list', { project: [PROJECT], environment: ENVIRONMENT }, 'project'],
    [
      'a word for a boolean',
      { project: PROJECT, environment: ENVIRONMENT, projectToken: 'false' },
      'projectToken',
    ],
    ['a misspelt key', { project: PROJECT, enviroment: ENVIRONMENT }, 'enviroment'],
    ['a key from a prototype', JSON.parse('{"__proto__":"x"}'), '__proto__'],
  ])('is refused with %s', (_, target, key) => {
    const error = refusal(() => railway.parseTarget(target))
    expect(error).toMatchObject({ code: 'config_invalid', details: { path: [key] } })
  })

  it('names the key that was meant', () => {
    const error = refusal(() => railway.parseTarget({ project: PROJECT, enviroment: ENVIRONMENT }))
    expect([error.message, error.hint]).toEqual([
      'a railway target has no "enviroment"',
      'did you mean "environment"?',
    ])
  })

  it('mints a project token unless told not to', () => {
    const target = { project: PROJECT, environment: ENVIRONMENT }
    expect(railway.parseTarget(target)).toEqual({ ...target, projectToken: true })
    expect(railway.parseTarget({ ...target, projectToken: false })).toMatchObject({
      projectToken: false,
    })
    expect(railway.parseTarget(railway.parseTarget(target))).toEqual(railway.parseTarget(target))
  })

  it('is the place of the lease', () => {
    expect(guard?.place({ project: PROJECT, environment: ENVIRONMENT })).toEqual({
      project: PROJECT,
      environment: ENVIRONMENT,
    })
  })
})

describe('a railway connection', () => {
  it.each<[string, Connection]>([
    ['no secret', { ...connection(), secret: null }],
    ['an empty secret', connection({}, '')],
    ['a secret of two words', connection({}, 'canary canary')],
    ['a secret of two lines', connection({}, 'canary\ncanary')],
    ['a secret that no header can carry', connection({}, 'canarÿ')],
    ['a secret that is too long', connection({}, 'canary'.repeat(100))],
    ['an unknown setting', connection({ region: 'eu' })],
    ['an unknown kind of token', connection({ token: 'team' })],
    ['an address in clear', connection({ url: 'http://127.0.0.1:8080' })],
    ['an address with a path', connection({ url: 'https://127.0.0.1/graphql/v2' })],
    ['an address with a user', connection({ url: 'https://canary@127.0.0.1' })],
    ['an address with a query', connection({ url: 'https://127.0.0.1/?canary' })],
    ['no address at all', connection({ url: 'canary' })],
    ['an address that is no text', connection({ url: 1 })],
  ])('is refused with %s, without quoting it', (_, wrong) => {
    const error = refusal(() => railway.parseConnection?.(wrong))
    expect(error.code).toBe('invalid_request')
    expect(error.message).toMatch(/^[a-z].*[^.]$/)
    expect(`${error.message}${error.hint}${JSON.stringify(error.details)}`).not.toContain('canar')
  })

  it.each<[JsonObject, string]>([
    [{}, 'https://backboard.railway.com'],
    [{ url: 'https://127.0.0.1:8443' }, 'https://127.0.0.1:8443'],
    [{ url: 'https://Railway.Example.com/' }, 'https://railway.example.com'],
  ])('with %j belongs to %s', (settings, origin) => {
    railway.parseConnection?.(connection(settings))
    expect(railway.origin?.(connection(settings))).toBe(origin)
  })

  it('is never sent to a host that is not its own', () => {
    const error = refusal(() => guard?.upstream(connection(), 'example.com'))
    expect(error).toMatchObject({
      code: 'internal',
      message: 'railway was asked for a host that is not its own',
    })
  })

  it('goes to the host that was asked for, or to the address the person chose', () => {
    expect(guard?.upstream(connection(), 'backboard.railway.app')).toEqual({
      origin: 'https://backboard.railway.app',
      ca: null,
      chosen: false,
    })
    const elsewhere = { ...connection({ url: 'https://127.0.0.1:8443' }), ca: 'PEM' }
    expect(guard?.upstream(elsewhere, 'backboard.railway.com')).toEqual({
      origin: 'https://127.0.0.1:8443',
      ca: 'PEM',
      chosen: true,
    })
  })

  it('carries each kind of token in its one header', () => {
    const secret = new Secret('s')
    const shown = (kind: 'minted' | 'connection', settings: JsonObject) =>
      guard
        ?.inject({ secret, kind, connection: connection(settings) })
        .map(([name, value]) => `${name}: ${value.reveal()}`)
    expect(shown('connection', {})).toEqual(['authorization: Bearer s'])
    expect(shown('connection', { token: 'workspace' })).toEqual(['authorization: Bearer s'])
    expect(shown('connection', { token: 'project' })).toEqual(['project-access-token: s'])
    expect(shown('minted', {})).toEqual(['project-access-token: s'])
  })
})

describe('railway in the registry', () => {
  it('is there by its name', async () => {
    const registry = createRegistry()
    expect(registry.names).toContain('railway')
    expect((await registry.get('railway')).mode).toBe('proxied')
    await registry.close()
  })
})

describe('what the guard wants to read', () => {
  const head = {
    method: 'POST',
    authority: 'backboard.railway.com',
    path: '/graphql/v2',
    query: null,
    headers: [] as const,
    body: null,
  }

  it('is the body of everything but uploads and upgrades', () => {
    expect(guard?.inspect(head)).toBe(1024 * 1024)
    expect(guard?.inspect({ ...head, path: '/other' })).toBe(1024 * 1024)
    expect(guard?.inspect({ ...head, path: '/project/p/environment/e/up' })).toBeNull()
    const upgrade = { ...head, method: 'GET', headers: [['Upgrade', 'websocket']] as const }
    expect(guard?.inspect(upgrade)).toBeNull()
  })
})
