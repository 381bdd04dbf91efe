import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { railwayCatalogue } from '../../src/providers/railway/catalogue/catalogue.ts'
import { NEWER } from '../../src/providers/railway/catalogue/newer.ts'
import {
  operationFacts,
  operationNames,
  type Place,
} from '../../src/providers/railway/catalogue/operations.ts'
import { scopeOf } from '../../src/providers/railway/catalogue/scopes.ts'
import { isSecretField, secretFieldNames } from '../../src/providers/railway/catalogue/secrets.ts'
import {
  fieldsOf,
  type InputShape,
  inputsOf,
  type OperationKind,
  objectNames,
  rootType,
} from '../../src/providers/railway/catalogue/shapes.ts'
import { DANGEROUS } from '../fixtures/railway/dangerous.ts'
import { LEGITIMATE } from '../fixtures/railway/legitimate.ts'
import { allowed, send } from '../fixtures/railway/request.ts'

const KINDS: readonly OperationKind[] = ['query', 'mutation', 'subscription']
const words = (text: string) => text.trim().split(/\s+/)
/** An environment that is named confines these only where it is a fork, which nobody can tell. */
const UNCONFINED = ['serviceCreate', 'serviceDelete', 'serviceInstanceUpdate']
const risksOf = (name: string) =>
  [name, `${name}:destructive`].map((each) => railwayCatalogue.operations.get(each))

describe('the catalogue', () => {
  it('rates what only newer clients know', () => {
    const risks = Object.values(NEWER.operations).flatMap((lines) =>
      Object.keys(lines).map((name) => `${name} ${railwayCatalogue.operations.get(name)}`),
    )
    expect(risks.sort()).toEqual([
      'agentBootstrap read',
      'agentBootstrapDelete destructive',
      'agentBootstrapSave execute',
      'agentBootstraps read',
      'cloudAgentHarnessToken admin',
      'projectFavorites read',
      'trace read',
      'traces read',
      'tracingStatus read',
    ])
    expect(isSecretField('AgentBootstrapVersion', 'manifest')).toBe(true)
  })

  it('knows no harmless mutation but previews and telemetry', () => {
    const harmless = [...operationNames('mutation')].filter(
      (name) => operationFacts('mutation', name)?.risk === 'read',
    )
    expect(harmless.sort()).toEqual([
      'cliAuthEventTrack',
      'cliEventTrack',
      'egressGatewayHAMigrationPreview',
      'environmentPreviewChangeSet',
      'setupAgentEventTrack',
    ])
  })

  it('counts as destructive or admin whatever takes away by its name', () => {
    const taking =
      /Delete|Remove|Reset|Destroy|Clear$|Revert|Rollback|Stop$|Disconnect|disable|Wipe/
    const mild = [...operationNames('mutation')].filter((name) => {
      const risk = operationFacts('mutation', name)?.risk
      return taking.test(name) && risk !== 'destructive' && risk !== 'admin'
    })
    // A rollback of a signal is another version of it; the other one takes a deletion back.
    expect(mild.sort()).toEqual(['projectScheduleDeleteCancel', 'signalRollback'])
  })

  it.each(
    words(`volumeDelete volumeInstanceUpdate volumeInstanceBackupDelete volumeInstanceBackupRestore
      volumeInstanceBackupScheduleUpdate projectDelete projectScheduleDelete
      projectScheduleDeleteForce environmentDelete serviceDelete serviceDisconnect deploymentRemove
      deploymentStop deploymentRollback variableDelete variableCollectionUpsert
      bucketCredentialsReset customDomainDelete serviceDomainDelete tcpProxyDelete
      privateNetworkEndpointDelete privateNetworksForEnvironmentDelete deploymentTriggerDelete
      egressGatewayAssociationsClear egressGatewayRollbackFromHA disablePitrForHaCluster
      cancelPitrHaWorkflow cloudAgentDelete sandboxDestroy sandboxCheckpointDelete templateDelete
      templateRevert signalDelete railwayDomainDnsRecordDelete railwayDomainDnsRecordUpdate
      railwayDomainNameserversSet integrationDelete notificationRuleDelete
      observabilityDashboardReset canvasViewMerge serviceRemoveUpstreamUrl disableServiceCdn
      environmentPatchCommit environmentPatchCommitStaged environmentStageChanges
      environmentApplyChangeSet pluginDelete pluginReset pluginResetCredentials userDelete
      workspaceDelete`),
  )('counts %s as destructive, at least by its payload', (name) => {
    expect(risksOf(name)).toContain('destructive')
  })

  it('counts as admin what hands out access', () => {
    for (const name of words(`apiTokenCreate projectTokenCreate projectTokenDelete projectMemberAdd
      projectInviteUser projectTransfer sandboxExec generateShellToken sshPublicKeyCreate
      workspaceUserInvite twoFactorInfoDelete deploymentInstanceExecutionCreate webhookTest`)) {
      expect(`${name} ${railwayCatalogue.operations.get(name)}`).toBe(`${name} admin`)
    }
  })

  it('gives every operation the risk that rules see under its name', () => {
    for (const row of [...DANGEROUS, ...LEGITIMATE]) {
      for (const { name, risk } of allowed(send(row)).operations) {
        expect(`${name} ${railwayCatalogue.operations.get(name)}`).toBe(`${name} ${risk}`)
      }
    }
  })

  it.each(UNCONFINED)('takes no environment for the whole reach of %s', (name) => {
    const places = operationFacts('mutation', name)?.places ?? []
    expect(places.filter(({ match }) => match === 'environment')).toHaveLength(1)
    expect(places.filter(({ match }) => match === 'project')).toEqual([])
    expect(places.find(({ kind }) => kind === 'environment')?.widensIfMissing).toBe(true)
  })

  it('points only at arguments that exist', () => {
    const wrong = KINDS.flatMap((kind) =>
      [...operationNames(kind)].flatMap((name) =>
        (operationFacts(kind, name)?.places ?? [])
          .filter((place) => !exists(kind, name, place))
          .map(({ path }) => `${name} ${path.join('.')}`),
      ),
    )
    expect(wrong).toEqual([])
  })

  it('names only secret fields that exist', () => {
    const wrong = secretFieldNames().filter((each) => {
      const [type = '', field = ''] = each.split('.')
      return !fieldsOf(type)?.has(field)
    })
    expect(wrong).toEqual([])
  })

  it('counts what has an id and was not judged as the farthest', () => {
    expect(scopeOf('Workspace')).toBe('account')
    expect(scopeOf('Customer')).toBe('account')
    expect(scopeOf('PageInfo')).toBe('part')
  })
})

function exists(kind: OperationKind, name: string, { path }: Place): boolean {
  let shapes: ReadonlyMap<string, InputShape> | undefined = fieldsOf(rootType(kind))?.get(
    name,
  )?.args
  for (const step of path) {
    const shape: InputShape | undefined = shapes?.get(step)
    if (!shape) return false
    shapes = shape.input === null ? undefined : inputsOf(shape.input)
  }
  return true
}

interface TypeReference {
  readonly kind: string
  readonly name: string | null
  readonly ofType: TypeReference | null
}
interface Input {
  readonly name: string
  readonly type: TypeReference
  readonly defaultValue: string | null
  readonly description: string | null
}
interface Field extends Input {
  readonly args: readonly Input[]
}
interface Introspected {
  readonly kind: string
  readonly name: string
  readonly fields: readonly Field[] | null
  readonly inputFields: readonly Input[] | null
}

// What newer.json has beyond that introspection, from a later source that it names.
const newer = (line = '') => new Set(line.split(' ').map((word) => word.split(/[(:!]/)[0]))
const known = <T>(all: Iterable<readonly [string, T]>, line?: string) =>
  new Map([...all].filter(([name]) => !newer(line).has(name)))

// An introspection of the real API, where one lies beside the repository. Data, and not ours to carry.
const INTROSPECTION = join(import.meta.dirname, '../../../shared/facts/railway-schema.json')
const present = existsSync(INTROSPECTION)
const title = present
  ? 'the catalogue against an introspection'
  : 'the catalogue against an introspection (skipped: shared/facts/railway-schema.json is not there)'

describe.skipIf(!present)(title, () => {
  const types: readonly Introspected[] = present
    ? JSON.parse(readFileSync(INTROSPECTION, 'utf8')).data.__schema.types
    : []
  const typeOf = (name: string) => types.find((each) => each.name === name)
  const base = (type: TypeReference): TypeReference => (type.ofType ? base(type.ofType) : type)
  const inputOf = ({ type, defaultValue }: Input): InputShape => ({
    input: base(type).kind === 'INPUT_OBJECT' ? base(type).name : null,
    required: type.kind === 'NON_NULL' && defaultValue === null,
  })
  const inputs = (list: readonly Input[]) => new Map(list.map((each) => [each.name, inputOf(each)]))

  it.each(KINDS)('knows every %s and none that is not there', (kind) => {
    const real = (typeOf(rootType(kind))?.fields ?? []).map(({ name }) => name)
    const later = Object.keys(NEWER.operations[kind])
    expect([...operationNames(kind)].sort()).toEqual([...real, ...later].sort())
    expect(real.length).toBe({ query: 152, mutation: 230, subscription: 13 }[kind])
  })

  it('knows every field of every type, its arguments and what it returns', () => {
    const composite = types.filter(({ kind }) => ['OBJECT', 'INTERFACE', 'UNION'].includes(kind))
    const names = new Set([...composite.map(({ name }) => name), ...Object.keys(NEWER.objects)])
    expect([...objectNames()].sort()).toEqual([...names].sort())
    for (const { name, fields } of composite) {
      const real = (fields ?? []).map((field) => {
        const { kind, name: type } = base(field.type)
        const leaf = kind === 'SCALAR' || kind === 'ENUM'
        return [field.name, { args: inputs(field.args), type: leaf ? null : type }] as const
      })
      const ours = [...(fieldsOf(name) ?? [])].filter(([each]) => !/^__/.test(each))
      expect(known(ours, NEWER.objects[name])).toEqual(new Map(real))
    }
  })

  it('knows every input field', () => {
    for (const { name, inputFields } of types.filter(({ kind }) => kind === 'INPUT_OBJECT')) {
      const ours = known(inputsOf(name) ?? [], NEWER.inputs[name])
      expect(ours).toEqual(inputs(inputFields ?? []))
    }
  })

  it('has as newer only what is not there, and says where it is from', () => {
    expect(NEWER.source).toMatch(/^railwayapp \d+\.\d+\.\d+ /)
    for (const [name, line] of Object.entries({ ...NEWER.objects, ...NEWER.inputs })) {
      const { fields, inputFields } = typeOf(name) ?? { fields: [], inputFields: [] }
      const there = [...(fields ?? []), ...(inputFields ?? [])].map((each) => each.name)
      expect(there.filter((each) => newer(line).has(each))).toEqual([])
    }
  })

  it('looks at all there is where an environment confines only if it is a fork', () => {
    const said = ({ description }: Input) => /is a fork(ed environment)?\b/.test(description ?? '')
    const unconfined = (typeOf('Mutation')?.fields ?? []).filter(({ args }) =>
      args.some(
        (each) => said(each) || (typeOf(base(each.type).name ?? '')?.inputFields ?? []).some(said),
      ),
    )
    expect(unconfined.map(({ name }) => name)).toEqual(UNCONFINED)
  })

  it('misses no field that could show a secret', () => {
    // Looked at one by one: ids, public keys, DNS records and flags, or answered by an admin operation.
    const harmless = new Set(
      words(`CertificatePublicData.keyType CustomDomainStatus.verificationToken GitHubSshKey.key
        LogAttribute.key Passkey.credentialId SandboxCheckpoint.key SshPublicKey.publicKey
        Service.hasHiddenRegistryCredentialsFromTemplate Environment.variables Plugin.variables
        CustomerAddress.postalCode`),
    )
    const risky =
      /secret|token|password|credential|passphrase|recoveryCode|(^|[a-z])[kK]ey$|^variables$/
    const missed = types
      .filter(
        ({ kind, name }) => kind === 'OBJECT' && !/^(__|Query|Mutation|Subscription)/.test(name),
      )
      .flatMap(({ name, fields }) => (fields ?? []).map((field) => [name, field] as const))
      .filter(
        ([, { name, type }]) => risky.test(name) || base(type).name === 'EnvironmentVariables',
      )
      .filter(([type, { name }]) => !isSecretField(type, name) && !/RateLimit$/.test(name))
      .map(([type, { name }]) => `${type}.${name}`)
      .filter((each) => !harmless.has(each))
    expect(missed).toEqual([])
  })

  it('counts as secret every query that returns variables, and every config that is decrypted', () => {
    for (const { name, type } of typeOf('Query')?.fields ?? []) {
      if (base(type).name !== 'EnvironmentVariables') continue
      expect(`${name} ${railwayCatalogue.operations.get(name)}`).toBe(`${name} secret`)
    }
    for (const { name, fields } of types.filter(({ kind }) => kind === 'OBJECT')) {
      for (const field of fields ?? []) {
        if (!field.args.some((each) => each.name === 'decryptVariables')) continue
        expect(`${name}.${field.name} ${isSecretField(name, field.name)}`).toMatch(/ true$/)
      }
    }
  })
})

const TABLE = join(import.meta.dirname, '../../../shared/facts/railway-operations.tsv')

describe.skipIf(!existsSync(TABLE))(
  'the catalogue against a table of risks, where one is there',
  () => {
    it('rates no mutation lower, unless its payload raises it again', () => {
      const rows = existsSync(TABLE) ? readFileSync(TABLE, 'utf8').split('\n').slice(1) : []
      const lower = rows
        .filter(Boolean)
        .map((line) => line.split('\t'))
        .filter(([name = '', risk = '', , , , flags = '']) => {
          const ours = new Set(
            ['', ':execute', ':destructive', ':secret']
              .map((suffix) => railwayCatalogue.operations.get(`${name}${suffix}`))
              .filter((each) => each !== undefined),
          )
          const severe = ours.has('destructive') || ours.has('admin')
          if (risk === 'destructive' || risk === 'admin') return !severe
          return flags.includes('exec') && !severe && !ours.has('execute')
        })
        .map(([name]) => name)
      expect(lower).toEqual([])
    })
  },
)
