import { describe, expect, it } from 'vitest'
import { Denied } from '../../src/broker/authorize/denial.ts'
import { type Locate, placeOperations } from '../../src/broker/authorize/places.ts'
import type { EnvironmentSource, Operation, Resource } from '../../src/core/guard.ts'
import type { Location } from '../../src/providers/guard.ts'

const PLACE = { environment: 'stg', project: 'shop' }
const STAGING = { id: 'stg', name: 'staging' }
const PRODUCTION = { id: 'prd', name: 'production' }
const VOLUME: Resource = { kind: 'volume', id: 'v1' }

const at =
  (changes: Partial<Location> = {}): Locate =>
  async () => ({
    name: 'pgdata',
    environments: [STAGING],
    project: { id: 'shop', name: 'shop' },
    notes: [],
    ...changes,
  })
const nothing: Locate = async () => null
const never: Locate = async () => {
  throw new Error('it was looked up')
}

const operation = (...environments: readonly EnvironmentSource[]): Operation => ({
  name: 'volumeDelete',
  risk: 'destructive',
  resources: [VOLUME],
  environments,
})
const lookup = (match: 'environment' | 'project'): EnvironmentSource => ({
  from: 'lookup',
  resource: VOLUME,
  match,
})

async function denial(operations: readonly Operation[], locate: Locate, place = PLACE) {
  const caught = await placeOperations(operations, place, locate).catch((error) => error)
  if (caught instanceof Denied) return caught.denial
  throw new Error(`it was not denied: ${JSON.stringify(caught)}`)
}

describe('what lies elsewhere, or nobody knows where', () => {
  const cases: readonly (readonly [string, EnvironmentSource, Locate, string, string])[] = [
    [
      'another environment',
      { from: 'argument', id: 'prd' },
      never,
      'environment_mismatch',
      'environment prd',
    ],
    [
      'its own in other letters',
      { from: 'argument', id: 'STG' },
      never,
      'environment_mismatch',
      'environment STG',
    ],
    [
      'no environment',
      { from: 'optional-argument-missing', argument: 'environmentId' },
      never,
      'environment_unknown',
      'without "environmentId" it touches every environment',
    ],
    [
      'the account',
      { from: 'account' },
      never,
      'environment_mismatch',
      'the whole account or workspace',
    ],
    [
      'a thing that is not there',
      lookup('environment'),
      nothing,
      'environment_unknown',
      'there is no volume v1 to be found',
    ],
    [
      'a thing of no project',
      lookup('project'),
      nothing,
      'environment_unknown',
      'there is no volume v1 to be found',
    ],
    [
      'a thing that lies nowhere',
      lookup('environment'),
      at({ environments: [] }),
      'environment_unknown',
      'nobody says where volume "pgdata" (v1) lies',
    ],
    [
      'a thing of production',
      lookup('environment'),
      at({ environments: [PRODUCTION] }),
      'environment_mismatch',
      'volume "pgdata" (v1) lies in "production"',
    ],
    [
      'a thing of both',
      lookup('environment'),
      at({ environments: [STAGING, PRODUCTION] }),
      'environment_mismatch',
      'volume "pgdata" (v1) also lies in "production"',
    ],
    [
      'a thing of its environment in another project',
      lookup('environment'),
      at({ project: { id: 'billing', name: null } }),
      'environment_mismatch',
      'volume "pgdata" (v1) lies in another project',
    ],
    [
      'a thing of another project',
      lookup('project'),
      at({ project: { id: 'billing', name: null } }),
      'environment_mismatch',
      'another project',
    ],
    [
      'a thing whose project nobody tells',
      lookup('project'),
      at({ project: null }),
      'environment_mismatch',
      'another project',
    ],
  ]
  for (const [name, source, locate, code, why] of cases) {
    it(`is refused: ${name}`, async () => {
      const told = await denial([operation(source)], locate)
      expect(told).toMatchObject({ code, operation: 'volumeDelete', risk: 'destructive' })
      expect(told.detail).toContain(`"volumeDelete" was refused: ${why}`)
    })
  }

  it('is refused where nothing at all is said of the place', async () => {
    expect(await denial([operation()], never)).toMatchObject({
      code: 'environment_unknown',
      detail: '"volumeDelete" was refused: it does not say which environment it touches',
    })
  })

  it('is refused for a source of a kind that nobody knows', async () => {
    const strange = { from: 'somewhere' } as unknown as EnvironmentSource
    expect((await denial([operation(strange)], never)).code).toBe('environment_unknown')
  })

  it('is refused where a single one of many is elsewhere', async () => {
    const fine = operation({ from: 'lease' })
    const bad = operation({ from: 'argument', id: 'stg' }, { from: 'argument', id: 'prd' })
    expect((await denial([fine, fine, bad], never)).code).toBe('environment_mismatch')
  })

  it('is refused for what the request tells before anything is looked up, in whatever order', async () => {
    const told: EnvironmentSource = { from: 'argument', id: 'prd' }
    const mixed = [operation(lookup('environment'), told), operation(told, lookup('environment'))]
    for (const one of mixed) {
      expect((await denial([one], never)).detail).toContain('environment prd')
    }
  })

  it('is refused for a project where the lease has none', async () => {
    const place = { environment: 'stg', project: null as unknown as string }
    expect((await denial([operation(lookup('project'))], at(), place)).code).toBe(
      'environment_mismatch',
    )
  })
})

describe('what lies wholly in the place of the lease', () => {
  it('is told with where it was found', async () => {
    const operations = [operation(lookup('environment'), { from: 'argument', id: 'stg' })]
    const [placed] = await placeOperations(operations, PLACE, at({ notes: ['3 backups'] }))
    expect(placed?.targets).toMatchObject([
      { resource: VOLUME, location: { name: 'pgdata', notes: ['3 backups'] } },
    ])
  })

  it('is fine without a project, where the provider has none', async () => {
    const place = { environment: 'stg', project: null }
    const one = operation(lookup('environment'))
    expect(await placeOperations([one], place, at({ project: null }))).toHaveLength(1)
  })

  it('is not looked up where the request itself tells it', async () => {
    const one = operation({ from: 'argument', id: 'stg' }, { from: 'lease' })
    const [placed] = await placeOperations([one], PLACE, never)
    expect(placed?.targets).toEqual([{ resource: VOLUME, location: null }])
  })

  it('passes a look-up’s failure on', async () => {
    const down: Locate = () => Promise.reject(new Error('down'))
    await expect(placeOperations([operation(lookup('environment'))], PLACE, down)).rejects.toThrow(
      'down',
    )
  })
})
