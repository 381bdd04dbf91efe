import { afterEach, expect, it } from 'vitest'
import { Guarded } from '../fixtures/guarded.ts'

let guarded: Guarded | undefined
afterEach(() => guarded?.dispose())

it('a task on a full disk gets nothing through, and takes no room from what ends leases', async () => {
  guarded = await Guarded.start()
  const { cloud, context } = guarded
  const task = await guarded.issue()
  const query = 'query($id:String!){ environment(id:$id){ id } }'
  const ask = () => task.graphql(query, { id: cloud.ids['staging'] })
  expect((await ask()).status).toBe(200)
  const before = (await task.entries()).filter(({ type }) => type !== 'request.ended').length
  const arrived = cloud.record.length
  Object.assign(context.store, { hasReserve: () => false })
  expect(await ask()).toMatchObject({ status: 403 })
  const stolen = { authorization: `Bearer ${cloud.accountToken}` }
  expect(await task.graphql(query, { id: cloud.ids['staging'] }, stolen)).toMatchObject({
    status: 403,
  })
  expect(cloud.record.length).toBe(arrived)
  const after = (await task.entries()).filter(({ type }) => type !== 'request.ended').length
  expect(after).toBe(before)
})
