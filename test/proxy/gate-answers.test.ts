import { afterEach, describe, expect, it } from 'vitest'
import { Guarded } from '../fixtures/guarded.ts'

let guarded: Guarded | undefined
afterEach(() => guarded?.dispose())

const body = JSON.stringify({ query: '{ me { id } }' })

describe('a refusal', () => {
  it.each(['/graphql/v2', '/graphql/internal'])(
    'stands where a GraphQL client looks for it, at %s',
    async (path) => {
      guarded = await Guarded.start()
      const task = await guarded.issue()
      const headers = { 'content-type': 'application/json', 'project-access-token': task.phantom }
      const answer = await task.send({ method: 'POST', path, headers, body })
      expect(answer.status).toBe(403)
      expect(answer.headers).toMatchObject({
        'content-type': 'application/json',
        'broker-decision': 'deny',
      })
      expect(answer.body).toMatchObject({
        data: null,
        errors: [
          { message: expect.any(String), extensions: { status: 403, lease: task.lease.id } },
        ],
      })
    },
  )

  it('of a request without a credential names the variable that holds it, and no other', async () => {
    guarded = await Guarded.start()
    const { body: answered } = await (await guarded.issue()).graphql('{__typename}', {}, {})
    const next = "send the one in this task's environment (RAILWAY_TOKEN)"
    expect(answered?.['errors']).toMatchObject([
      { extensions: { code: 'credential_missing', next } },
    ])
  })

  it('is a problem document anywhere else', async () => {
    guarded = await Guarded.start()
    const task = await guarded.issue()
    const headers = { 'project-access-token': task.phantom }
    const answer = await task.send({ method: 'GET', path: '/oauth/me', headers })
    expect(answer.status).toBe(403)
    expect(answer.headers['content-type']).toBe('application/problem+json')
    expect(answer.body).toMatchObject({ code: 'operation_denied', environment: 'staging' })
  })
})
