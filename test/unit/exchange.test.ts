import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { decodeJwt } from 'jose'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { verifyAudit } from '../../src/broker/audit.ts'
import { examine } from '../../src/broker/examine.ts'
import { issue } from '../../src/broker/issue.ts'
import { Secret } from '../../src/lib/secret.ts'
import { KEYS, OPERATOR } from '../fixtures/context.ts'
import { craft } from '../fixtures/oidc-issuer.ts'
import { ADDRESS, AUDIENCE, Exchange, NOW, REPOSITORY, refusal } from './exchange-fixture.ts'

let exchange: Exchange
beforeEach(async () => {
  exchange = await Exchange.open()
})
afterEach(async () => {
  expect(exchange.context.errors).toEqual([])
  expect(await verifyAudit(exchange.context, KEYS, null)).toMatchObject({ ok: true })
  await exchange.close()
})

const GENERIC = { code: 'subject_refused', message: 'the subject token is not accepted' }
const leases = () => exchange.context.store.read.leases({ live: false, limit: 100 })

describe('a subject token that is not accepted', () => {
  it('is refused in one text for every reason, and the audit log holds each of them', async () => {
    const { signer, stranger } = exchange.world.keys
    const good = (await exchange.token()).reveal()
    const claims = JSON.parse(Buffer.from(good.split('.')[1] ?? '', 'base64url').toString())
    const header = { alg: 'RS256', kid: signer.kid, typ: 'JWT' }
    const seconds = Math.floor(NOW / 1000)
    const bad: readonly (readonly [reason: string, token: string])[] = [
      ['token_malformed', 'not a token'],
      ['signature_bad', craft(stranger, header, claims)],
      ['algorithm_none', craft(signer, { ...header, alg: 'none' }, claims)],
      ['issuer_unknown', craft(signer, header, { ...claims, iss: 'https://other.example' })],
      ['audience_other', craft(signer, header, { ...claims, aud: 'https://other.example' })],
      ['expired', craft(signer, header, { ...claims, iat: seconds - 400, exp: seconds - 60 })],
      ['key_unknown', craft(signer, { ...header, kid: 'nobody' }, claims)],
      ['no_rule', craft(signer, header, { ...claims, repository_id: '998' })],
      ['no_rule', craft(signer, header, { ...claims, event_name: 'pull_request_target' })],
    ]
    for (const [, text] of bad) {
      expect(await refusal(exchange.ask(new Secret(text)))).toEqual(GENERIC)
    }
    const told = await exchange.entries('exchange.refused')
    expect(told.map(({ data }) => data.reason)).toEqual(bad.map(([reason]) => reason))
    expect(told.every(({ data }) => data.address === ADDRESS)).toBe(true)
    expect(told.at(-2)?.data).toMatchObject({
      subject: { issuer: exchange.issuer, sub: 'repo:octo-org/my-repo:ref:refs/heads/main' },
      environment: 'ci',
      rules: [
        {
          template: 'deploy',
          rule: 0,
          failure: 'claim "repository_id" is "998", expected "456789"',
        },
      ],
    })
    expect(told.at(-1)?.data.rules[0].failure).toContain('outsiders can start such runs')
    expect(await leases()).toEqual([])
    const log = JSON.stringify(await exchange.entries())
    for (const [, text] of bad) {
      for (const part of text.split('.')) if (part.length > 20) expect(log).not.toContain(part)
    }
  })

  it('is not called bad when its issuer cannot be asked, and why stands in the audit log', async () => {
    const token = await exchange.token()
    await exchange.world.issuer.close()
    expect(await refusal(exchange.ask(token))).toEqual({
      code: 'issuer_unavailable',
      message: 'the issuer of the subject token cannot be asked right now',
    })
    const [told] = await exchange.entries('exchange.refused')
    expect(told?.data.reason).toBe('issuer_unreachable')
  })

  it('stays unused: what was refused can be asked for rightly', async () => {
    const token = await exchange.token()
    expect(await refusal(exchange.ask(token, { environment: 'elsewhere' }))).toMatchObject({
      code: 'target_refused',
    })
    expect(await exchange.ask(token)).toMatchObject({ kind: 'bearer', repeated: false })
  })
})

describe('a subject that some rule lets in', () => {
  it.each([
    { name: 'an environment that does not exist', asks: { environment: 'nowhere' } },
    { name: 'one of another template', asks: { environment: 'staging' } },
    { name: 'a template of others', asks: { template: 'theirs' } },
    { name: 'a template of local people', asks: { template: 'people' } },
    { name: 'a template that does not exist', asks: { template: 'none' } },
    { name: 'a name that objects inherit', asks: { environment: 'constructor' } },
  ])('hears the same of $name', async ({ asks }) => {
    exchange.apply({
      deploy: {},
      theirs: { who: [exchange.rule({ ...REPOSITORY, repository_id: '1' })] },
      people: { who: [{ kind: 'local' }] },
      elsewhere: { who: [exchange.rule({ ref: 'refs/heads/other' })], environments: ['staging'] },
    })
    expect(await refusal(exchange.ask(await exchange.token(), asks))).toEqual({
      code: 'target_refused',
      message: 'this subject gets nothing there: the environment or the template is not for it',
    })
    const [told] = await exchange.entries('exchange.refused')
    expect(told?.data).toMatchObject({ reason: 'no_such_target', admitted: ['deploy'] })
  })

  it('hears the names of templates that let it in, and of no others, when several fit', async () => {
    exchange.apply({
      deploy: {},
      publish: {},
      theirs: { who: [exchange.rule({ ref: 'refs/heads/other' })] },
      people: { who: [{ kind: 'local' }] },
    })
    const token = await exchange.token()
    await expect(exchange.ask(token)).rejects.toMatchObject({
      code: 'invalid_request',
      message: 'several templates fit "ci"',
      details: { parameter: 'scope', templates: ['deploy', 'publish'] },
    })
    expect(await exchange.ask(token, { template: 'publish' })).toMatchObject({
      template: 'publish',
    })
  })

  it('gets the default one of several', async () => {
    exchange.apply({ deploy: {}, publish: { isDefault: true } })
    expect((await exchange.ask(await exchange.token())).template).toBe('publish')
  })

  it('is let in by no rule for local people, nor are they by one for subjects', async () => {
    exchange.apply({ people: { who: [{ kind: 'local' }] } })
    expect(await refusal(exchange.ask(await exchange.token()))).toEqual(GENERIC)
    exchange.apply({ deploy: {} })
    await expect(issue(exchange.context, OPERATOR, { environment: 'ci' })).rejects.toMatchObject({
      code: 'denied',
      message: 'no template lets you into environment "ci"',
    })
  })

  it('is refused by a rule that cannot be used, and let in by another', async () => {
    const rule = exchange.rule(REPOSITORY)
    exchange.apply({
      broken: { who: [{ ...rule, issuer: 'http://127.0.0.1:1' } as typeof rule] },
      deploy: {},
    })
    const { trust } = await exchange.context.policy()
    expect(trust.unusable).toEqual([
      {
        template: 'broken',
        rule: 0,
        message: 'issuer "http://127.0.0.1:1" is not reached over https',
      },
    ])
    const policy = (await examine(exchange.context)).find(({ title }) => title === 'policy')
    expect(policy?.findings).toContainEqual({
      level: 'warning',
      message:
        'an oidc rule of template "broken" lets nobody in: issuer "http://127.0.0.1:1" is not reached over https',
      hint: 'correct it in broker.yaml and apply it again',
    })
    const token = await exchange.token()
    expect(await refusal(exchange.ask(token, { template: 'broken' }))).toMatchObject({
      code: 'target_refused',
    })
    expect((await exchange.ask(token)).template).toBe('deploy')
  })
})

describe('what one answer cannot hold', () => {
  const SESSION = (why: string) => ({
    code: 'target_refused',
    message: `this lease cannot be had by exchange (${why}): use broker exec --server`,
  })
  it.each([
    {
      name: 'a limited egress',
      template: { egress: ['example.com'] },
      why: 'it needs a proxy of its own',
    },
    {
      name: 'an approval',
      template: { approval: 'required' as const },
      why: 'a person has to approve it',
    },
    {
      name: 'walls',
      template: { isolation: 'mask' as const },
      why: 'its template wants the task kept apart from its machine',
    },
  ])('is refused: $name', async ({ template, why }) => {
    exchange.apply({ deploy: template })
    expect(await refusal(exchange.ask(await exchange.token()))).toEqual(SESSION(why))
    expect(await leases()).toEqual([])
    expect(await exchange.entries('exchange.refused')).toHaveLength(1)
  })

  it('is refused in a protected environment beyond read, and without a list of hosts', async () => {
    const allow = { api: { allow: ['orders:write'], approve: [], deny: [] } }
    exchange.apply({ deploy: { environments: ['production'], grants: allow } })
    const asks = { environment: 'production' }
    const code = async () => (await refusal(exchange.ask(await exchange.token(), asks))).code
    expect(await code()).toBe('denied')
    exchange.apply({
      deploy: { environments: ['production'], grants: allow, egress: ['example.com'] },
    })
    expect(await code()).toBe('target_refused')
  })

  it('is not called a bearer where it is none', async () => {
    exchange.apply({ deploy: { grants: { db: { allow: ['look'], approve: [], deny: [] } } } })
    for (const wanted of ['jwt', 'access_token'] as const) {
      expect(await refusal(exchange.ask(await exchange.token(), { wanted }))).toEqual({
        code: 'invalid_request',
        message: 'this lease is not one bearer token: ask for urn:broker:token-type:lease',
      })
    }
    expect(exchange.ledger.minted).toBe(0)
  })
})

describe('how long a lease lives', () => {
  it('is refused beyond what the template allows', async () => {
    const asked = exchange.ask(await exchange.token(), { ttlMs: 2 * 3_600_000 })
    expect(await refusal(asked)).toEqual({
      code: 'denied',
      message: 'template "deploy" allows at most 1h, asked for 2h',
    })
  })

  it.each([
    { template: 1_800_000, asked: undefined, lives: 900_000 },
    { template: 300_000, asked: undefined, lives: 300_000 },
    { template: 300_000, asked: 1_800_000, lives: 1_800_000 },
  ])('of template $template asked $asked is $lives', async ({ template, asked, lives }) => {
    exchange.apply({ deploy: { ttlMs: template } })
    const { expiresAt } = await exchange.ask(await exchange.token(), { ttlMs: asked })
    expect(expiresAt).toBe(NOW + lives)
  })
})

describe('an exchange', () => {
  it('leaves the token unused when there is no place for the lease', async () => {
    exchange.apply({ deploy: { maxLive: 1 } })
    await exchange.ask(await exchange.token())
    const token = await exchange.token()
    expect(await refusal(exchange.ask(token))).toMatchObject({ code: 'quota_exceeded' })
    exchange.apply({ deploy: { maxLive: 2 } })
    expect(await exchange.ask(token)).toMatchObject({ kind: 'bearer' })
  })

  it('answers with the one bearer there is', async () => {
    const answer = await exchange.ask(await exchange.token(), { reason: 'release 7' })
    expect(answer).toMatchObject({
      kind: 'bearer',
      expiresAt: NOW + 900_000,
      template: 'deploy',
      details: [
        { type: 'broker_grant', identifier: 'api', actions: ['orders:read', 'orders:write'] },
      ],
      repeated: false,
    })
    expect(decodeJwt(answer.token.reveal())).toMatchObject({
      iss: AUDIENCE,
      aud: 'https://api.example',
      sub: 'repo:octo-org/my-repo:ref:refs/heads/main',
      scope: 'orders:read orders:write',
      env: 'ci',
      lease: answer.lease,
      exp: (NOW + 900_000) / 1000,
    })
    const lease = await exchange.context.store.read.lease(answer.lease)
    expect(lease).toMatchObject({
      state: 'active',
      deliveredAt: null,
      reason: 'release 7',
      isolation: 'scrub',
      principal: { kind: 'oidc', id: 'repo:octo-org/my-repo:ref:refs/heads/main' },
      run: {
        shown: {
          repository: 'octo-org/my-repo',
          ref: 'refs/heads/main',
          workflow: 'octo-org/my-repo/.github/workflows/deploy.yml@refs/heads/main',
          run: '17000000001',
        },
      },
    })
  })

  it('grants less where less is asked for, and says so', async () => {
    exchange.apply({
      deploy: {
        grants: {
          api: { allow: ['orders:read', 'orders:write', 'read'], approve: [], deny: [] },
          db: { allow: ['look', 'put'], approve: [], deny: [] },
        },
      },
    })
    const ask = (details: unknown) =>
      exchange.token().then((token) => exchange.ask(token, { details: JSON.stringify(details) }))
    const detail = (identifier: string, ...actions: string[]) => {
      return { type: 'broker_grant', identifier, actions }
    }
    const one = await ask([detail('api', 'orders:read')])
    expect(one.details).toEqual([detail('api', 'orders:read')])
    expect(decodeJwt(one.token.reveal())['scope']).toBe('orders:read')
    expect((await ask([detail('api', 'orders:*')])).details).toEqual([
      detail('api', 'orders:read', 'orders:write'),
    ])
    expect((await ask([detail('db', 'read'), detail('api', 'read')])).details).toEqual([
      detail('api', 'read'),
      detail('db', 'look'),
    ])
    for (const more of [
      [detail('api', 'orders:delete')],
      [detail('api', 'orders:read', 'admin')],
      [detail('db', 'burn')],
      [detail('db', 'destructive')],
      [detail('other', 'look')],
      [detail('nothing', 'read')],
      [detail('api', 'orders:read'), detail('api', 'orders:write')],
    ]) {
      expect((await refusal(ask(more))).code).toBe('details_refused')
    }
  })

  it('needs no approval for what is left of a template that would need one', async () => {
    exchange.apply({
      deploy: { grants: { db: { allow: ['look'], approve: ['burn'], deny: [] } } },
    })
    const only = [{ type: 'broker_grant', identifier: 'db', actions: ['look'] }]
    const token = await exchange.token()
    expect((await refusal(exchange.ask(token))).code).toBe('target_refused')
    const answer = await exchange.ask(token, { details: JSON.stringify(only) })
    expect(answer.details).toEqual(only)
  })

  it('records who asked, by which rule, with all claims cut to size', async () => {
    exchange.apply({
      deploy: { who: [{ kind: 'local' }, exchange.rule({ sub: 'x' }), exchange.rule(REPOSITORY)] },
    })
    const many = Object.fromEntries(Array.from({ length: 100 }, (_, n) => [`claim-${n}`, n]))
    const claims = {
      workflow: 'w'.repeat(4000),
      odd: '\ud800',
      '\ud800': 1,
      list: ['a', { b: 1 }],
      ...many,
    }
    const { lease } = await exchange.ask(await exchange.token(claims))
    const [told] = await exchange.entries('lease.requested')
    expect(told?.lease).toBe(lease)
    expect(told?.data).toMatchObject({
      address: ADDRESS,
      run: { repository: 'octo-org/my-repo', run: '17000000001' },
      subject: {
        issuer: exchange.issuer,
        sub: 'repo:octo-org/my-repo:ref:refs/heads/main',
        rule: 2,
        claims: {
          repository_id: '456789',
          odd: '\ufffd',
          '\ufffd': 1,
          list: '["a",{"b":1}]',
          'claim-1': 1,
        },
      },
    })
    expect(told?.data.subject.claims.workflow).toHaveLength(501)
    expect(Object.keys(told?.data.subject.claims)).toHaveLength(64)
  })

  it('uses the token up when minting fails, and says why to a retry', async () => {
    exchange.apply({ deploy: { grants: { db: { allow: ['look'], approve: [], deny: [] } } } })
    exchange.ledger.script.mint.push('failed')
    const token = await exchange.token()
    const asks = { idempotencyKey: 'one' }
    expect(await refusal(exchange.ask(token, asks))).toMatchObject({ code: 'provider_failed' })
    const [failed] = await leases()
    await expect(exchange.ask(token, asks)).rejects.toMatchObject({
      code: 'lease_ended',
      message: `this request was answered with lease "${failed?.id}", which is over (mint failed)`,
      details: { lease: failed?.id },
    })
    expect(exchange.ledger.alive.size).toBe(0)
  })

  it('leaves no token, handle or credential in the database', async () => {
    const token = await exchange.token()
    const answer = await exchange.ask(token, { idempotencyKey: 'a-key-of-the-client' })
    const handle = await exchange.ask(await exchange.token(), { wanted: 'lease' })
    const { folder, store } = exchange.context
    const signature = token.reveal().split('.')[2] ?? ''
    const minted = answer.token.reveal().split('.')[2] ?? ''
    await store.write(async () => {})
    const bytes = ['', '-wal'].map((suffix) =>
      readFileSync(join(folder, `broker.sqlite${suffix}`)).toString('latin1'),
    )
    for (const secret of [signature, minted, handle.token.reveal(), 'a-key-of-the-client']) {
      expect(bytes.some((text) => text.includes(secret))).toBe(false)
    }
  })
})
