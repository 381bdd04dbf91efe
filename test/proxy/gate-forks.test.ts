import { afterEach, expect, it } from 'vitest'
import { removeEnvironment } from '../../src/demo/cloud/removal.ts'
import { Guarded } from '../fixtures/guarded.ts'

let guarded: Guarded | undefined
afterEach(() => guarded?.dispose())

const OPERATIONS = ['serviceCreate', 'serviceDelete', 'serviceInstanceUpdate'] as const
const ALLOW = ['read', ...OPERATIONS]

const documents = ({ cloud: { ids } }: Guarded) => ({
  serviceCreate: `mutation{serviceCreate(input:{projectId:"${ids.shop}",environmentId:"${ids.staging}",name:"new"}){id}}`,
  serviceDelete: `mutation{serviceDelete(id:"${ids.web}",environmentId:"${ids.staging}")}`,
  serviceInstanceUpdate: `mutation{serviceInstanceUpdate(serviceId:"${ids.web}",environmentId:"${ids.staging}",input:{numReplicas:9})}`,
})

const DETAIL = {
  serviceCreate: /project "shop" \(.*\) also lies in "production"/,
  serviceDelete: /service "web" \(.*\) also lies in "production"/,
  serviceInstanceUpdate: /service "web" \(.*\) also lies in "production"/,
}

it.each(OPERATIONS)(
  'takes no environment for a fork, whatever it was made from: %s',
  async (name) => {
    guarded = await Guarded.start({
      rule: { allow: ALLOW },
      cloud: {
        furnish: ({ environments }, ids) => {
          const staging = environments.find(({ id }) => id === ids.staging)
          Object.assign(staging ?? {}, { sourceEnvironmentId: ids.production, fork: true })
        },
      },
    })
    const task = await guarded.issue()
    const before = {
      world: structuredClone(guarded.cloud.world),
      record: guarded.cloud.record.length,
    }
    const { status, body } = await task.graphql(documents(guarded)[name])
    expect(status).toBe(403)
    const detail = expect.stringMatching(DETAIL[name])
    const problem = { code: 'environment_mismatch', operation: name, detail }
    expect(body?.['errors']).toMatchObject([{ extensions: problem }])
    const arrived = guarded.cloud.record.slice(before.record).map((request) => request.body)
    expect(arrived.filter((text) => text.includes('mutation'))).toEqual([])
    expect(guarded.cloud.world).toEqual(before.world)
  },
)

it('lets all three pass where the project has no other environment', async () => {
  guarded = await Guarded.start({
    rule: { allow: ALLOW },
    cloud: { furnish: (world, ids) => removeEnvironment(world, ids.production) },
  })
  const { cloud } = guarded
  const task = await guarded.issue()
  const { serviceCreate, serviceInstanceUpdate, serviceDelete } = documents(guarded)
  for (const query of [serviceCreate, serviceInstanceUpdate, serviceDelete]) {
    const { status, body } = await task.graphql(query)
    expect({ status, errors: body?.['errors'] }).toEqual({ status: 200, errors: undefined })
  }
  const names = cloud.world.services.map(({ name }) => name)
  expect(names).toContain('new')
  expect(names).not.toContain('web')
})
