import { describe, expect, it } from 'vitest'
import type { Json } from '../../src/lib/json.ts'
import { classifyMessage } from '../../src/providers/railway/guard/channel.ts'
import { allowed, refused, summary } from '../fixtures/railway/request.ts'

const message = (value: Json) => classifyMessage(JSON.stringify(value))
const subscribe = (query: string, more: { readonly [key: string]: Json } = {}) =>
  message({ id: '1', type: 'subscribe', payload: { query, ...more } })

describe('messages of a websocket', () => {
  it.each([
    ['text that is not JSON', '{', 'the request body is not valid JSON'],
    ['a list of messages', '[]', 'the message is not an object'],
    [
      'a type that is not known',
      '{"type":"start","id":"1"}',
      'the message has a type that is not known',
    ],
    ['a message without a type', '{"id":"1"}', 'the message has a type that is not known'],
    ['two types', '{"type":"ping","type":"subscribe"}', 'a key stands twice in one JSON object'],
    [
      'members that are not known',
      '{"type":"ping","query":"x"}',
      'the message has members that are not known',
    ],
    [
      'a subscription without an id',
      '{"type":"subscribe","payload":{"query":"{__typename}"}}',
      'the message has no id',
    ],
    [
      'a subscription without a payload',
      '{"type":"subscribe","id":"1"}',
      'the request body is not an object',
    ],
    [
      'a batch in a payload',
      '{"type":"subscribe","id":"1","payload":[]}',
      'several requests in one body are not accepted',
    ],
    [
      'a persisted query',
      '{"type":"subscribe","id":"1","payload":{"query":"{__typename}","extensions":{"persistedQuery":{}}}}',
      'extension "persistedQuery" is not accepted',
    ],
  ])('refuses %s', (_, text, expected) => {
    expect(refused(classifyMessage(text))).toMatchObject({
      code: 'request_malformed',
      message: expected,
    })
  })

  it('refuses a message over the limit', () => {
    const refusal = refused(classifyMessage(`"${'x'.repeat(1024 * 1024)}"`))
    expect(refusal).toMatchObject({
      code: 'request_too_large',
      message: 'the message is too large',
    })
  })

  it('refuses a subscription with several root fields', () => {
    const query =
      'subscription{a:deploymentLogs(deploymentId:"d"){message} b:buildLogs(deploymentId:"d"){message}}'
    expect(refused(subscribe(query)).message).toBe('a subscription has one root field')
  })

  it('judges a mutation on a websocket like any other', () => {
    expect(summary(allowed(subscribe('mutation{volumeDelete(volumeId:"vol")}')))).toEqual([
      'volumeDelete destructive volume*=vol',
    ])
  })

  it('judges the subscriptions that follow logs', () => {
    const query =
      'subscription($d:String!){deploymentLogs(deploymentId:$d,limit:5){timestamp message}}'
    const verdict = allowed(subscribe(query, { variables: { d: 'dep' } }))
    expect(summary(verdict)).toEqual(['deploymentLogs read deployment*=dep'])
    expect(verdict.forward).toEqual({
      kind: 'body',
      contentType: 'application/json',
      text: JSON.stringify({
        id: '1',
        type: 'subscribe',
        payload: { query, variables: { d: 'dep' } },
      }),
    })
  })

  it('sees secrets and edges below a subscription', () => {
    const staged =
      'subscription{environmentStagedPatch(environmentId:"stg"){patch(decryptVariables:true)}}'
    expect(summary(allowed(subscribe(staged)))).toEqual([
      'EnvironmentPatch.patch secret environment=stg',
      'environmentStagedPatch read environment=stg',
    ])
    const outward =
      'subscription{deployment(id:"d"){service{project{environments{edges{node{id}}}}}}}'
    expect(refused(subscribe(outward)).code).toBe('environment_mismatch')
  })

  it('lets the messages of the protocol itself through, without what could be hidden in them', () => {
    for (const type of ['connection_init', 'ping', 'pong']) {
      const verdict = allowed(message({ type, payload: { authorization: 'Bearer x' } }))
      expect(verdict.operations).toEqual([])
      expect(verdict.forward).toMatchObject({ text: JSON.stringify({ type }) })
    }
    const complete = allowed(message({ id: '1', type: 'complete' }))
    expect(complete.forward).toMatchObject({ text: '{"id":"1","type":"complete"}' })
  })
})
