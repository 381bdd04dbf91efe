import type { Json } from '../../../src/lib/json.ts'
import { LEGITIMATE } from '../../fixtures/railway/legitimate.ts'
import { asks, type LegitimateRequest, STATUS } from './request.ts'

/** The placeholders of the classifier's own table, as they are called here. */
const CALLED: Readonly<Record<string, string>> = {
  stg: '«staging»',
  prj: '«shop»',
  svc: '«web»',
  own: '«worker»',
  d: '«webStagingDeployment»',
  vi: '«cacheStaging»',
  vol: '«cache»',
}

const PLACEHOLDER = /"(stg|prj|svc|own|d|vi|vol)"/g

/** Patches have ids for keys; the variables themselves have names. */
function called(value: Json, depth = 0): Json {
  if (typeof value === 'string') return CALLED[value] ?? value
  if (Array.isArray(value)) return value.map((item) => called(item, depth + 1))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [
      depth === 0 ? key : (CALLED[key] ?? key),
      called(item, depth + 1),
    ]),
  )
}

const EVERYDAY: readonly LegitimateRequest[] = LEGITIMATE.map(({ name, query, variables }) => ({
  ...asks(name, {
    query: query.replace(PLACEHOLDER, (_, one: string) => `"${CALLED[one]}"`),
    ...(variables && { variables: called(variables) }),
  }),
  ...(query.includes('projectToken') &&
    !query.includes('projectTokens') && { answered: 'broker' as const }),
}))

const ids = { id: '«staging»' }
const many = Object.fromEntries(Array.from({ length: 400 }, (_, n) => [`KEY_${n}`, `value ${n}`]))

/** Documents, and the JSON around them, in the forms that SDKs give them. */
export const DOCUMENTS: readonly LegitimateRequest[] = [
  ...EVERYDAY,
  asks('an operation without a name', { query: '{environment(id:"«staging»"){name}}' }),
  asks('a name of the operation', { query: STATUS, variables: ids, operationName: 'Status' }),
  asks('a name of null', { query: STATUS, variables: ids, operationName: null }),
  asks('a name that is empty', { query: STATUS, variables: ids, operationName: '' }),
  asks('variables of null', { query: '{__typename}', variables: null }),
  asks('variables that are empty', { query: '{__typename}', variables: {} }),
  asks('extensions that are empty', { query: STATUS, variables: ids, extensions: {} }),
  asks('the name of the library', {
    query: STATUS,
    variables: ids,
    extensions: { clientLibrary: { name: '@apollo/client', version: '4.0.0' } },
  }),
  asks(
    'JSON with blanks and line ends',
    JSON.stringify({ query: STATUS, variables: ids }, null, 2),
  ),
  asks('slashes that are escaped', '{"query":"{__typename #\\/\\/\\n}","variables":{}}'),
  asks('letters that are escaped', '{"query":"\\u007b__typename}"}'),
  asks('a variable that nobody uses', { query: '{__typename}', variables: { other: 1 } }),
  asks('two reads under aliases', {
    query: '{a:environment(id:"«staging»"){id} b:environment(id:"«staging»"){name}}',
  }),
  asks('fragments', {
    query:
      'query($id:String!){environment(id:$id){...A}} fragment A on Environment{id ...B} fragment B on Environment{name}',
    variables: ids,
  }),
  asks('an inline fragment without a type', {
    query: '{environment(id:"«staging»"){...{id name}}}',
  }),
  asks('a fragment on an interface', { query: '{environment(id:"«staging»"){...on Node{id}}}' }),
  asks('conditions', {
    query:
      'query($id:String!,$n:Boolean!){environment(id:$id){id name@include(if:$n) canAccess@skip(if:$n)}}',
    variables: { ...ids, n: true },
  }),
  asks('a default that is used', {
    query: 'query($id:String!="«staging»"){environment(id:$id){id}}',
  }),
  asks('type names everywhere', {
    query:
      '{__typename environment(id:"«staging»"){__typename id serviceInstances{__typename edges{node{__typename id}}}}}',
  }),
  asks('comments', { query: '# what is up\n{ # here\n environment(id:"«staging»"){id} }' }),
  asks('a block string', { query: '{environment(id:"""«staging»"""){id}}' }),
  asks('a variable of four hundred', {
    query:
      'mutation($v:EnvironmentVariables!){variableCollectionUpsert(input:{projectId:"«shop»",environmentId:"«staging»",serviceId:"«web»",variables:$v,skipDeploys:true})}',
    variables: { v: many },
  }),
  asks('a variable in other scripts', {
    query: 'mutation($i:VariableUpsertInput!){variableUpsert(input:$i)}',
    variables: {
      i: {
        projectId: '«shop»',
        environmentId: '«staging»',
        name: 'GREETING',
        value: 'héllo 世界 🚂 "quoted" \\ \n',
      },
    },
  }),
  asks('fifty reads in one document', {
    query: `{${Array.from({ length: 49 }, (_, n) => `e${n}:environment(id:"«staging»"){id}`).join(' ')}}`,
  }),
  asks('the own project and the names in it', {
    query:
      '{project(id:"«shop»"){id name environments{edges{node{id name}}} services{edges{node{id name}}} volumes{edges{node{id name}}}}}',
  }),
  {
    ...asks('whose token it is', {
      query:
        '{projectToken{id name projectId environmentId project{id name} environment{id name}}}',
    }),
    answered: 'broker',
  },
  {
    ...asks('whose token it is, under aliases', {
      query: 'query Who{me:projectToken{at:environment{__typename id}}}',
      operationName: 'Who',
    }),
    answered: 'broker',
  },
]
