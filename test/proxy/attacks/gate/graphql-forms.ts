import { gzipSync } from 'node:zlib'
import type { DenialCode } from '../../../../src/broker/authorize/denial.ts'
import type { Json } from '../../../../src/lib/json.ts'
import {
  document,
  type GateAttack,
  type HttpSending,
  JSON_TYPE,
  PHANTOM,
  PING,
  post,
  WIPE,
  WIPE_BODY,
} from './attack.ts'

const attack = (code: DenialCode, name: string, send: HttpSending): GateAttack => ({
  name,
  family: 'graphql',
  lease: 'wide',
  code,
  send,
})
const malformed = (name: string, body: string | Uint8Array, changes: Partial<HttpSending> = {}) =>
  attack('request_malformed', name, post(body, changes))
const typed = (type: string): Partial<HttpSending> => ({
  headers: [['content-type', type], PHANTOM],
})
const asked = (query: string, variables?: Json) =>
  ({ code: 'request_malformed', send: document(query, variables) }) as const
const shaped = (name: string, query: string, variables?: Json): GateAttack => ({
  name,
  family: 'graphql',
  lease: 'wide',
  ...asked(query, variables),
})
const tooLarge = (name: string, body: string): GateAttack => ({
  ...attack('request_too_large', name, post(body)),
  family: 'size',
})

const escapedKey = `{"query":"{__typename}","\\u0071uery":${JSON.stringify(WIPE)}}`

/** Requests that two readers could read as two, or that nobody can read. */
export const GRAPHQL_FORMS: readonly GateAttack[] = [
  malformed('a batch that begins with a ping', `[${PING},${WIPE_BODY}]`),
  malformed('a batch of one', `[${WIPE_BODY}]`),
  malformed('two documents', `{"query":"{__typename}","query":${JSON.stringify(WIPE)}}`),
  malformed('two documents, one key escaped', escapedKey),
  malformed(
    'two values of one variable',
    '{"query":"mutation($v:String!){volumeDelete(volumeId:$v)}","variables":{"v":"«cache»","v":"«pgdata»"}}',
  ),
  malformed('two JSON values', `${PING}${WIPE_BODY}`),
  malformed('a comment in JSON', `${PING}//${WIPE_BODY}`),
  malformed('a byte order mark', `\ufeff${WIPE_BODY}`),
  malformed('another encoding of the text', Buffer.from(WIPE_BODY, 'utf16le')),
  malformed('bytes that are no text', Buffer.from([0x7b, 0xff, 0x7d])),
  malformed('a number that turns into null', '{"query":"{__typename}","variables":{"a":1e999}}'),
  malformed('a packed body', gzipSync(WIPE_BODY), {
    headers: [JSON_TYPE, PHANTOM, ['content-encoding', 'gzip']],
  }),
  malformed('a plain body that says it is packed', WIPE_BODY, {
    headers: [JSON_TYPE, PHANTOM, ['content-encoding', 'gzip']],
  }),
  malformed('a packed body that does not say so', gzipSync(WIPE_BODY)),
  malformed('a body packed twice', gzipSync(gzipSync(WIPE_BODY)), {
    headers: [JSON_TYPE, PHANTOM, ['content-encoding', 'gzip, gzip']],
  }),
  malformed('a form', `query=${encodeURIComponent('mutation{projectDelete(id:"x")}')}`, {
    ...typed('application/x-www-form-urlencoded'),
  }),
  malformed(
    'multipart',
    `--x\r\ncontent-disposition: form-data; name="operations"\r\n\r\n${WIPE_BODY}\r\n--x--\r\n`,
    typed('multipart/form-data; boundary=x'),
  ),
  malformed('a bare document', WIPE, typed('application/graphql')),
  malformed('JSON called text', WIPE_BODY, typed('text/plain')),
  malformed('JSON called something like JSON', WIPE_BODY, typed('application/json-seq')),
  malformed('JSON in another charset', WIPE_BODY, typed('application/json; charset=utf-7')),
  malformed('no content type', WIPE_BODY, { headers: [PHANTOM] }),
  malformed('two content types', WIPE_BODY, {
    headers: [JSON_TYPE, ['content-type', 'text/plain'], PHANTOM],
  }),
  malformed('a document in the query of a GET', '', {
    method: 'GET',
    path: '/graphql/v2?query=mutation%7BprojectDelete%28id%3A%22«shop»%22%29%7D',
  }),
  malformed('a GET with a body', WIPE_BODY, { method: 'GET' }),
  malformed('a PUT', WIPE_BODY, { method: 'PUT' }),
  malformed('a document in the query beside the body', PING, {
    path: '/graphql/v2?query=mutation%7BprojectDelete%28id%3A%22«shop»%22%29%7D',
  }),
  malformed('variables in the query', WIPE_BODY, {
    path: '/graphql/v2?variables=%7B%22v%22%3A%22«pgdata»%22%7D',
  }),
  malformed('an empty query', PING, { path: '/graphql/v2?' }),
  malformed(
    'a persisted query',
    '{"query":"{__typename}","extensions":{"persistedQuery":{"version":1,"sha256Hash":"ab"}}}',
  ),
  malformed('the id of a document', '{"documentId":"wipe"}'),
  malformed('a parameter nobody knows', '{"query":"{__typename}","Query":"mutation{x}"}'),
  malformed('a prototype', '{"__proto__":{"query":"{__typename}"}}'),
  malformed('variables in a string', '{"query":"{__typename}","variables":"{}"}'),
  malformed(
    'the name of an operation that is not there',
    JSON.stringify({
      query: `query A{__typename} ${WIPE.replace('mutation', 'mutation B')}`,
      operationName: 'C',
    }),
  ),
  shaped(
    'two operations and no choice',
    'query A{__typename} mutation B{projectDelete(id:"«shop»")}',
  ),
  shaped(
    'two operations of one name',
    'query A{__typename} mutation A{projectDelete(id:"«shop»")}',
  ),
  shaped(
    'an operation without a name beside another',
    '{__typename} mutation B{projectDelete(id:"«shop»")}',
  ),
  shaped(
    'fragments in a circle',
    'query{...A} fragment A on Query{...B} fragment B on Query{...A}',
  ),
  shaped(
    'a fragment defined twice',
    'mutation{...A} fragment A on Mutation{__typename} fragment A on Mutation{projectDelete(id:"«shop»")}',
  ),
  shaped('a fragment that is missing', 'mutation{...A}'),
  shaped(
    'a mutation in a fragment of a query',
    'query{...on Mutation{projectDelete(id:"«shop»")}}',
  ),
  shaped('an argument twice', 'mutation{volumeDelete(volumeId:"«cache»",volumeId:"«pgdata»")}'),
  shaped(
    'a field twice in one literal',
    'mutation{variableDelete(input:{name:"A",projectId:"«shop»",environmentId:"«staging»",environmentId:"«production»"})}',
  ),
  shaped('a variable that is not defined', 'mutation{volumeDelete(volumeId:$v)}', {
    v: '«pgdata»',
  }),
  shaped(
    'a variable defined twice',
    'mutation($v:String!="«cache»",$v:String!="«pgdata»"){volumeDelete(volumeId:$v)}',
  ),
  shaped('an id that leads elsewhere', 'mutation{volumeDelete(volumeId:"«cache»/../«pgdata»")}'),
  shaped('a list of ids', 'mutation($v:[String!]!){volumeDelete(volumeId:$v)}', {
    v: [['«cache»'], ['«pgdata»']],
  }),
  shaped(
    'an object for an id',
    'mutation{serviceDelete(id:"«web»",environmentId:{ne:"«staging»"})}',
  ),
  shaped(
    'a patch in a string',
    'mutation($p:EnvironmentConfig){environmentPatchCommit(environmentId:"«staging»",patch:$p)}',
    { p: '{"volumes":{"«pgdata»":null}}' },
  ),
  shaped(
    'a patch of nothing, which could mean the staged one',
    'mutation{environmentPatchCommit(environmentId:"«staging»")}',
  ),
  shaped(
    'a subscription in a POST',
    'subscription{deploymentLogs(deploymentId:"«webStagingDeployment»"){message}}',
  ),
  shaped('a document that extends types', 'extend type Query{a:Int} query{__typename}'),
  shaped('a condition that is none', 'mutation{volumeDelete(volumeId:"«pgdata»")@skip(if:"no")}'),
  tooLarge(
    'selections nested forty deep',
    JSON.stringify({ query: `query{${'...{'.repeat(40)}__typename${'}'.repeat(40)}}` }),
  ),
  tooLarge(
    'a document of ten thousand tokens',
    JSON.stringify({ query: `query{${'__typename '.repeat(10_000)}}` }),
  ),
  tooLarge('a document of brackets', JSON.stringify({ query: `query{a(b:${'['.repeat(3000)}` })),
  tooLarge(
    'variables of brackets',
    `{"query":"{__typename}","variables":{"a":${'['.repeat(500)}${']'.repeat(500)}}}`,
  ),
  tooLarge(
    'fragments that unfold to a million',
    JSON.stringify({
      query: `query{${'...A '.repeat(60)}} fragment A on Query{${'...B '.repeat(60)}} fragment B on Query{${'...C '.repeat(60)}} fragment C on Query{__typename}`,
    }),
  ),
  tooLarge(
    'sixty deletions in one document',
    JSON.stringify({
      query: `mutation{${Array.from({ length: 60 }, (_, n) => `a${n}:volumeDelete(volumeId:"«pgdata»")`).join(' ')}}`,
    }),
  ),
  tooLarge(
    'a document that is too long',
    JSON.stringify({ query: `{__typename}#${'x'.repeat(140_000)}` }),
  ),
  tooLarge(
    'a body over the limit',
    `{"query":"{__typename}","variables":{"a":"${'x'.repeat(1024 * 1024)}"}}`,
  ),
]
