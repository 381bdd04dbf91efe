import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import {
  buildClientSchema,
  type GraphQLSchema,
  getNamedType,
  isEnumType,
  isInputObjectType,
  isInterfaceType,
  isObjectType,
  parse,
  validate,
} from 'graphql'
import { afterEach, describe, expect, it } from 'vitest'
import { roots } from '../../src/demo/cloud/answers/all.ts'
import { fields } from '../../src/demo/cloud/answers/fields.ts'
import { type Cloud, type CloudOptions, startCloud } from '../../src/demo/cloud/cloud.ts'
import { cloudSchema } from '../../src/demo/cloud/schema/schema.ts'
import { NEWER } from '../../src/providers/railway/catalogue/newer.ts'
import { LEGITIMATE } from '../fixtures/railway/legitimate.ts'
import { account, CloudClient, project } from './demo-cloud-client.ts'

const closing: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

async function open(options?: CloudOptions) {
  const cloud = await startCloud(options)
  const client = new CloudClient(cloud)
  closing.push(
    () => cloud.close(),
    () => client.close(),
  )
  return { cloud, client, key: account(cloud.accountToken) }
}

describe('what arrives', () => {
  it('is on record as it was sent, with whose it was', async () => {
    const { cloud, client, key } = await open()
    const body = '{"query":"{me{email}}","extra":"caf\u00e9"}'
    await client.post({ ...key, 'X-Odd-Case': 'yes' }, '/graphql/v2', body)
    await client.post({}, '/elsewhere?a=1', Buffer.from([0xff, 0xfe]))
    expect(cloud.record).toHaveLength(2)
    const [first, second] = cloud.record
    expect(first).toMatchObject({ method: 'POST', path: '/graphql/v2', body, complete: true })
    expect(first?.headers).toContainEqual(['X-Odd-Case', 'yes'])
    expect(first?.headers).toContainEqual(['authorization', `Bearer ${cloud.accountToken}`])
    expect(first?.authorised).toBe('account token custom-domains')
    expect(second).toMatchObject({ path: '/elsewhere?a=1', body: '\u00ff\u00fe', bytes: 2 })
    expect(second?.authorised).toBeNull()
  })

  it.each([
    ['no JSON', 400, '{', {}],
    ['a batch', 400, '[{"query":"{me{id}}"}]', {}],
    ['no query', 400, '{"query":1}', {}],
    ['a document that does not parse', 400, '{"query":"{"}', {}],
    ['a field that is not there', 400, '{"query":"{volume(id:1){id}}"}', {}],
    ['an argument that is missing', 400, '{"query":"mutation{volumeDelete}"}', {}],
    ['variables that do not fit', 400, '{"query":"query($i:String!){project(id:$i){id}}"}', {}],
    ['an operation that is not there', 400, '{"query":"{me{id}}","operationName":"X"}', {}],
    ['a form', 415, 'query={me{id}}', { 'content-type': 'application/x-www-form-urlencoded' }],
    ['a packed body', 415, gzipSync('{}'), { 'content-encoding': 'gzip' }],
  ])('is refused where it is %s', async (_, status, body, headers) => {
    const { client, key } = await open()
    const answered = await client.post({ ...key, ...headers }, '/graphql/v2', body)
    expect(answered.status).toBe(status)
    expect(JSON.parse(answered.text)).not.toHaveProperty('data')
  })

  it('answers Railway’s way: 200, a code and a trace', async () => {
    const { client } = await open()
    const body = JSON.stringify({ query: '{projects{edges{node{id}}}}' })
    const { status, text } = await client.post({}, '/graphql/v2', body)
    expect(status).toBe(200)
    expect(JSON.parse(text)).toEqual({
      errors: [
        {
          message: 'Not Authorized',
          locations: [{ line: 1, column: 2 }],
          path: ['projects'],
          extensions: { code: 'INTERNAL_SERVER_ERROR' },
          traceId: expect.stringMatching(/^\d+$/),
        },
      ],
      data: null,
    })
  })
})

describe('an upload', () => {
  it('into another environment is refused, and nothing is deployed', async () => {
    const { cloud, client } = await open()
    const { shop, production, web } = cloud.ids
    const before = structuredClone(cloud.world)
    const path = `/project/${shop}/environment/${production}/up?serviceId=${web}`
    const key = project(cloud.projectTokens.staging)
    expect((await client.post(key, path, 'tree')).status).toBe(401)
    expect((await client.post({}, path, 'tree')).status).toBe(401)
    expect(cloud.world).toEqual(before)
  })

  it('without a service goes only where one alone can be meant, and only with a right to it', async () => {
    const { cloud, client, key } = await open()
    const { shop, staging, billing, billingProduction, invoices } = cloud.ids
    const into = (one: string, other: string) => `/project/${one}/environment/${other}/up`
    const theirs = project(cloud.projectTokens.staging)
    expect((await client.post(theirs, into(billing, billingProduction), 'x')).status).toBe(401)
    expect((await client.post(key, into(shop, billingProduction), 'x')).status).toBe(404)
    expect((await client.post(key, into(shop, staging), 'x')).status).toBe(404)
    expect(cloud.world.uploads).toEqual([])
    expect((await client.post(key, into(billing, billingProduction), 'x')).status).toBe(200)
    expect(cloud.world.uploads).toMatchObject([{ serviceId: invoices }])
  })

  it('is taken, counted and deployed', async () => {
    const { cloud, client } = await open()
    const { shop, staging, web } = cloud.ids
    const tree = Buffer.alloc(3_000_000, 7)
    const path = `/project/${shop}/environment/${staging}/up?serviceId=${web}&message=x`
    const answered = await client.post(project(cloud.projectTokens.staging), path, tree)
    expect(answered.status).toBe(200)
    const { deploymentId } = JSON.parse(answered.text)
    expect(cloud.world.deployments.at(-1)).toMatchObject({ id: deploymentId, serviceId: web })
    expect(cloud.world.uploads).toMatchObject([{ environmentId: staging, bytes: tree.length }])
    expect(cloud.record[0]).toMatchObject({ bytes: tree.length, complete: true })
    expect(cloud.record[0]?.body).toHaveLength(1024 * 1024)
  })
})

describe('the rate limit', () => {
  it('answers 429 to what is beyond it, without doing it, until the hour is over', async () => {
    let now = new Date('2026-04-24T12:00:00Z')
    const { cloud, client, key } = await open({ rateLimit: 2, now: () => now })
    const remove = `mutation{volumeDelete(volumeId:"${cloud.ids.cache}")}`
    const left = async () =>
      (await client.ask(key, '{__typename}')).headers['x-ratelimit-remaining']
    expect([await left(), await left()]).toEqual(['1', '0'])
    const over = await client.ask(key, remove)
    expect(over).toMatchObject({ status: 429, data: null })
    expect(over.headers).toMatchObject({
      'x-ratelimit-limit': '2',
      'x-ratelimit-remaining': '0',
      'x-ratelimit-reset': String(Date.parse('2026-04-24T13:00:00Z') / 1000),
      'retry-after': '3600',
    })
    expect(cloud.world.volumes).toHaveLength(3)
    const others = project(cloud.projectTokens.staging)
    expect((await client.ask(others, '{projectToken{id}}')).status).toBe(200)
    now = new Date('2026-04-24T13:00:00Z')
    expect((await client.ask(key, remove)).status).toBe(200)
    expect(cloud.world.volumes).toHaveLength(2)
    cloud.limit(1)
    expect([await left(), (await client.ask(key, remove)).status]).toEqual(['0', 429])
  })
})

describe('failing on purpose', () => {
  const create = (cloud: Cloud) =>
    `mutation{projectTokenCreate(input:{projectId:"${cloud.ids.shop}",environmentId:"${cloud.ids.staging}",name:"lost"})}`
  const names = (cloud: Cloud) => cloud.world.projectTokens.map(({ name }) => name)

  it.each([
    ['500', 500, []],
    ['not-authorized', 200, ['Not Authorized']],
  ] as const)('answers %s, does nothing, and recovers', async (mode, status, errors) => {
    const { cloud, client, key } = await open()
    cloud.fail(mode)
    expect(await client.ask(key, create(cloud))).toMatchObject({ status, errors, data: null })
    expect(names(cloud)).not.toContain('lost')
    cloud.fail('off')
    expect((await client.ask(key, create(cloud))).errors).toEqual([])
    expect(names(cloud)).toContain('lost')
  })

  it('resets connections, open ones and new ones, while it is down', async () => {
    const { cloud, client, key } = await open()
    await client.ask(key, '{__typename}')
    cloud.fail('down')
    const reset = { code: 'ECONNRESET' }
    await expect(client.ask(key, create(cloud))).rejects.toMatchObject(reset)
    await expect(client.ask(key, create(cloud))).rejects.toMatchObject(reset)
    expect(names(cloud)).not.toContain('lost')
    cloud.fail('off')
    expect((await client.ask(key, '{__typename}')).status).toBe(200)
  })

  it('does the work and loses the answer', async () => {
    const { cloud, client, key } = await open()
    cloud.fail('lost')
    await expect(client.ask(key, create(cloud))).rejects.toThrow(/other side closed|ECONNRESET/)
    expect(names(cloud)).toContain('lost')
  })

  it('hangs with the request on record, and closes all the same', async () => {
    const { cloud, client, key } = await open()
    cloud.fail('hang')
    const asked = client.ask(key, create(cloud)).then(
      () => 'answered',
      () => 'cut',
    )
    await expect.poll(() => cloud.record[0]?.complete).toBe(true)
    await cloud.close()
    expect(await asked).toBe('cut')
    expect(names(cloud)).not.toContain('lost')
  })
})

describe('the world', () => {
  it('has the same ids for the same seed and others without one', async () => {
    const [one, two, other] = [await open({ seed: 'a' }), await open({ seed: 'a' }), await open()]
    expect(one.cloud.ids).toEqual(two.cloud.ids)
    expect(one.cloud.accountToken).toBe(two.cloud.accountToken)
    expect(other.cloud.ids.shop).not.toBe(one.cloud.ids.shop)
    expect(new Set(Object.values(other.cloud.ids)).size).toBe(Object.keys(other.cloud.ids).length)
  })

  it('begins as it is furnished', async () => {
    const { cloud } = await open({
      furnish: (world) => void world.volumes.splice(0),
    })
    expect(cloud.world.volumes).toEqual([])
  })

  it('compares equal to itself and shows no value of a variable', async () => {
    const { cloud, client, key } = await open()
    const before = cloud.snapshot()
    expect(cloud.snapshot()).toEqual(before)
    expect(JSON.stringify(before)).not.toContain('obviously-fake')
    const { shop, production, api } = cloud.ids
    const input = `projectId:"${shop}",environmentId:"${production}",serviceId:"${api}"`
    await client.ask(
      key,
      `mutation{variableUpsert(input:{${input},name:"DATABASE_URL",value:"x",skipDeploys:true})}`,
    )
    const { variables, ...others } = cloud.snapshot()
    expect(variables).not.toEqual(before.variables)
    expect({ ...before, variables }).toEqual({ ...others, variables })
  })
})

describe('the schema', () => {
  const schema = cloudSchema()
  const rootFields = (each: GraphQLSchema) => [
    ...Object.keys(each.getQueryType()?.getFields() ?? {}),
    ...Object.keys(each.getMutationType()?.getFields() ?? {}),
  ]
  const followed = Object.keys(schema.getSubscriptionType()?.getFields() ?? {})

  it('has an answer for every root field, and no answer without a field', () => {
    const asked = new Set([...rootFields(schema), ...followed])
    expect(Object.keys(roots).sort()).toEqual([...asked].sort())
    for (const [name, answers] of Object.entries(fields)) {
      const type = schema.getType(name)
      const known = isObjectType(type) ? Object.keys(type.getFields()) : []
      expect(known, name).toEqual(expect.arrayContaining(Object.keys(answers)))
    }
  })

  // What clients send, as far as it concerns what is served here.
  const served = LEGITIMATE.filter(({ operations }) =>
    operations.every((each) => rootFields(schema).includes(each.split(/[: ]/)[0] ?? '')),
  )
  it.each(served)('understands $name', ({ query }) => {
    expect(validate(schema, parse(query)).map(({ message }) => message)).toEqual([])
  })
  it('is asked for most of it', () => expect(served.length).toBeGreaterThan(30))

  // An introspection of the real API, where one lies beside the repository.
  const path = join(import.meta.dirname, '../../../shared/facts/railway-schema.json')
  it.skipIf(!existsSync(path))('has nothing that is not in an introspection of Railway’s', () => {
    const real = buildClientSchema(JSON.parse(readFileSync(path, 'utf8')).data)
    const ours = Object.values(schema.getTypeMap()).filter(({ name }) => !name.startsWith('__'))
    for (const type of ours) {
      const theirs = real.getType(type.name)
      expect(theirs?.constructor, type.name).toBe(type.constructor)
      if (isEnumType(type) && isEnumType(theirs)) {
        const values = (each: typeof type) => each.getValues().map(({ name }) => name)
        expect(values(type), type.name).toEqual(values(theirs))
      }
      if (isInputObjectType(type) && isInputObjectType(theirs)) {
        const inputs = (each: typeof type) =>
          Object.values(each.getFields()).map((field) => `${field.name}: ${field.type}`)
        expect(inputs(type), type.name).toEqual(inputs(theirs))
      }
      if (!isObjectType(type) && !isInterfaceType(type)) continue
      const known = isObjectType(theirs) || isInterfaceType(theirs) ? theirs.getFields() : {}
      // Newer than this introspection, and known to be so.
      const newer = new Set(NEWER.objects[type.name]?.split(' '))
      for (const field of Object.values(type.getFields())) {
        if (newer.has(field.name)) continue
        const name = `${type.name}.${field.name}`
        const same = known[field.name]
        expect(String(field.type), name).toBe(String(same?.type))
        const args = (each = field) => each.args.map((arg) => `${arg.name}: ${arg.type}`).sort()
        expect(args(), name).toEqual(args(same))
        expect(getNamedType(field.type).name).toBe(getNamedType(same?.type)?.name)
      }
    }
  })
})
