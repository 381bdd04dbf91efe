import { describe, expect, it } from 'vitest'
import type { Json } from '../../src/lib/json.ts'
import { withStagedPatch } from '../../src/providers/railway/guard/staged.ts'
import { allowed, forwarded, refused, send, summary } from '../fixtures/railway/request.ts'

const COMMIT = `mutation EnvironmentPatchCommitStaged($e: String!, $m: String, $skip: Boolean) {
  environmentPatchCommitStaged(environmentId: $e, commitMessage: $m, skipDeploys: $skip)
}`
const commit = (query = COMMIT, variables: { readonly [name: string]: Json } = { e: 'stg' }) =>
  allowed(send({ query, variables }))

describe('commits of staged changes', () => {
  it('refuses a commit whose patch is not an object', () => {
    for (const patch of [null, 'x', []]) {
      const refusal = refused(withStagedPatch(commit(), patch))
      expect(refusal).toMatchObject({
        code: 'request_malformed',
        message: 'the staged patch is not an object',
      })
    }
  })

  it('refuses to skip deployments, which the replacement cannot', () => {
    const refusal = refused(withStagedPatch(commit(COMMIT, { e: 'stg', skip: true }), {}))
    expect(refusal).toMatchObject({
      code: 'operation_denied',
      operation: 'environmentPatchCommitStaged',
      message:
        '"environmentPatchCommitStaged" with "skipDeploys" cannot be bound to what was judged',
    })
  })

  it('refuses anything that is no commit of staged changes', () => {
    const other = allowed(send({ query: '{__typename}' }))
    expect(refused(withStagedPatch(other, {})).message).toBe(
      'the request is no commit of staged changes',
    )
  })

  it('asks for the patch before it is judged', () => {
    expect(commit().needs).toEqual([{ kind: 'staged-patch', environment: 'stg' }])
    expect(commit('mutation{environmentPatchCommit(environmentId:"stg",patch:{})}').needs).toEqual(
      [],
    )
  })

  it('judges the commit by the patch that was read', () => {
    const judge = (patch: Json) => summary(allowed(withStagedPatch(commit(), patch)))
    expect(judge({ services: { svc: { deploy: { numReplicas: 2 } } } })).toEqual([
      'environmentPatchCommitStaged write environment=stg service=svc',
    ])
    expect(judge({ volumes: { vol: { isDeleted: true } } })).toEqual([
      'environmentPatchCommitStaged write environment=stg volume*=vol',
      'environmentPatchCommitStaged:destructive destructive environment=stg volume*=vol',
    ])
    expect(judge({ services: { svc: { variables: { A: { value: '1' } } } } })).toEqual([
      'environmentPatchCommitStaged write environment=stg service=svc',
      'environmentPatchCommitStaged:execute execute environment=stg service=svc',
    ])
  })

  it('replaces the commit by the commit of exactly that patch, under the same key', () => {
    const patch = { services: { svc: { name: 'web' } } }
    const aliased =
      'mutation($e:String!){done:environmentPatchCommitStaged(environmentId:$e,commitMessage:"m")}'
    const verdict = allowed(withStagedPatch(commit(aliased), patch))
    expect(verdict.needs).toEqual([])
    expect(forwarded(verdict)).toEqual({
      query:
        'mutation($environmentId:String!,$patch:EnvironmentConfig,$commitMessage:String){done:environmentPatchCommit(environmentId:$environmentId,patch:$patch,commitMessage:$commitMessage)}',
      variables: { environmentId: 'stg', patch, commitMessage: 'm' },
    })
    // What is forwarded is judged like any commit, so nothing staged can slip in.
    expect(summary(allowed(send(forwarded(verdict) as Parameters<typeof send>[0])))).toEqual([
      'environmentPatchCommit write environment=stg service=svc',
    ])
  })

  it('keeps the field’s own name as the key where there is no alias', () => {
    const { query } = forwarded(allowed(withStagedPatch(commit(), {})))
    expect(query).toContain('{environmentPatchCommitStaged:environmentPatchCommit(')
  })
})
