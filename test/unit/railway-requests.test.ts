import { describe, expect, it } from 'vitest'
import { classify } from '../../src/providers/railway/guard/classify.ts'
import { allowed, forwarded, refused, request, summary } from '../fixtures/railway/request.ts'
import { REFUSED_REQUESTS } from '../fixtures/railway/requests.ts'

const UP = '/project/prj/environment/stg/up'

describe('requests of the wrong form', () => {
  it.each(REFUSED_REQUESTS)('refuses $name', ({ body, changes, code, message }) => {
    const refusal = refused(classify(request(body ?? '{"query":"{__typename}"}', changes)))
    expect(refusal).toMatchObject({ code, message })
    expect(refusal.risk).toBe(code === 'operation_denied' ? 'admin' : null)
  })
})

describe('the choice of an operation', () => {
  const query = 'query A{__typename} mutation B($v:String!){volumeDelete(volumeId:$v)}'

  it('judges and forwards the chosen operation alone', () => {
    const chosen = (operationName: string) =>
      allowed(classify(request(JSON.stringify({ query, operationName, variables: { v: 'vol' } }))))
    expect(summary(chosen('B'))).toEqual(['volumeDelete destructive volume*=vol'])
    expect(summary(chosen('A'))).toEqual(['__typename read lease'])
    // Neither the other operation nor its variable is left for a server that chooses differently.
    expect(forwarded(chosen('A'))).toEqual({ query: 'query A{__typename}', operationName: 'A' })
  })

  it('takes null and an empty name for no choice', () => {
    for (const operationName of [null, '']) {
      const body = JSON.stringify({ query: 'query A{__typename}', operationName })
      expect(summary(allowed(classify(request(body))))).toEqual(['__typename read lease'])
    }
  })
})

describe('requests of the right form', () => {
  it('forwards what was judged and nothing else: no comments, no spare variables, no extensions', () => {
    const body = `{"query":"# note\\nquery($e:String!)   {environment(id:$e){id}}","variables":{"e":"stg","spare":"x"},
      "extensions":{"clientLibrary":{"name":"c","version":"1"}}}`
    const { forward } = allowed(classify(request(body)))
    expect(forward).toEqual({
      kind: 'body',
      contentType: 'application/json',
      text: '{"query":"query($e:String!){environment(id:$e){id}}","variables":{"e":"stg"}}',
    })
  })

  it('forwards no variable that was not given', () => {
    const query = 'query($e:String="stg"){environment(id:$e){id}}'
    expect(forwarded(allowed(classify(request(JSON.stringify({ query })))))).toEqual({ query })
    const { forward } = allowed(classify(request(JSON.stringify({ query, variables: {} }))))
    expect(forward).toMatchObject({ text: JSON.stringify({ query }) })
  })

  it.each([
    'application/json',
    'application/json; charset=utf-8',
    'Application/JSON;charset="UTF-8"',
  ])('accepts the content type %s', (type) => {
    const sent = request('{"query":"{__typename}"}', { headers: [['Content-Type', type]] })
    expect(classify(sent).outcome).toBe('classified')
  })

  it('accepts the older host', () => {
    const sent = request('{"query":"{__typename}"}', { authority: 'backboard.railway.app' })
    expect(classify(sent).outcome).toBe('classified')
  })

  it('takes an upload for code that will run, and lets its body through unread', () => {
    const verdict = allowed(
      classify(request('', { path: UP, query: 'serviceId=svc&message=fix%20login+1', body: null })),
    )
    expect(summary(verdict)).toEqual(['up execute environment=stg project=prj service=svc'])
    expect(verdict.forward).toEqual({ kind: 'stream' })
  })

  it('takes an upload without a service for one of the environment', () => {
    const verdict = allowed(classify(request('', { path: UP, body: null })))
    expect(summary(verdict)).toEqual(['up execute environment=stg project=prj'])
  })

  it('opens a websocket that speaks the protocol it can judge', () => {
    const headers = [
      ['upgrade', 'WebSocket'],
      ['sec-websocket-protocol', 'graphql-transport-ws'],
    ] as const
    const verdict = allowed(classify(request('', { method: 'GET', headers, body: null })))
    expect(verdict.operations).toEqual([])
    expect(verdict.forward).toEqual({ kind: 'channel', protocol: 'graphql-transport-ws' })
  })
})
