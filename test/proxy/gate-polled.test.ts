import { afterEach, expect, it } from 'vitest'
import { Guarded } from '../fixtures/guarded.ts'

let guarded: Guarded
afterEach(() => guarded.dispose())

const names = (one: readonly { readonly type: string }[]) => one.map(({ type }) => type)

it('the same request, again and again, is allowed and recorded each time', async () => {
  guarded = await Guarded.start()
  const task = await guarded.issue()
  const { staging } = guarded.cloud.ids
  const query = 'query Q($id: String!) { environment(id: $id) { id name } }'
  const answers = []
  for (let n = 0; n < 5; n++) answers.push(await task.graphql(query, { id: staging }))
  for (const { status, text } of answers) expect([status, text]).toEqual([200, answers[0]?.text])
  expect(answers[0]?.body).toMatchObject({ data: { environment: { id: staging } } })
  const entries = names(await task.entries()).filter((type) => type === 'request.allowed')
  expect(entries).toHaveLength(5)
  const arrived = guarded.cloud.record.filter(({ body }) => body.includes('query Q('))
  expect(arrived.map(({ body }) => body)).toEqual(Array(5).fill(arrived[0]?.body))
})

it('what it is told of its own token is told each time', async () => {
  guarded = await Guarded.start()
  const task = await guarded.issue()
  const query = '{ projectToken { projectId environmentId } }'
  const { shop, staging } = guarded.cloud.ids
  for (let n = 0; n < 5; n++) {
    expect((await task.graphql(query)).body).toEqual({
      data: { projectToken: { projectId: shop, environmentId: staging } },
    })
  }
})

it('the same request with another’s credential is refused, however often it was allowed', async () => {
  guarded = await Guarded.start()
  const task = await guarded.issue()
  const other = await guarded.issue()
  const query = '{ projectToken { projectId } }'
  for (let n = 0; n < 5; n++) expect((await task.graphql(query)).status).toBe(200)
  const stolen = await task.graphql(query, {}, { 'project-access-token': other.phantom })
  expect(stolen.status).toBe(403)
  expect(stolen.text).toContain('foreign_credential')
  expect((await other.graphql(query)).status).toBe(200)
})
