import { fieldsOf } from './shapes.ts'

/**
 * Fields that show credentials, by type; `*` is every field. A value is a secret wherever it stands,
 * so asking for one makes the whole request `secret`. Opaque JSON that may quote variables, webhook
 * addresses or tokens is listed too.
 */
const SECRET_FIELDS: readonly (readonly [type: string, fields: string])[] = [
  ['AgentBootstrapVersion', 'manifest'],
  ['ApiToken', 'displayToken'],
  ['AuditLog', 'context payload'],
  ['BucketS3CompatibleCredentials', 'accessKeyId secretAccessKey'],
  ['CanvasViewMergePreview', 'mutations state'],
  ['ChangeOperationResult', 'outputs'],
  ['ChangeSetPreview', 'changeSet effects'],
  ['DeploymentSnapshot', 'variables'],
  ['DockerComposeImport', 'patch'],
  ['Environment', 'config'],
  ['EnvironmentPatch', 'patch'],
  ['Event', 'activityPayload payload'],
  ['Integration', 'config'],
  ['InviteCode', 'code'],
  ['NotificationChannel', 'config'],
  ['NotificationInstance', 'payload'],
  ['ProjectToken', 'displayToken'],
  ['ProviderAuth', 'metadata'],
  ['RecoveryCodes', 'recoveryCodes'],
  ['SignalChange', 'payload prevState'],
  ['TrustedDomainVerificationData', 'token'],
  ['TwoFactorInfoSecret', '*'],
]

/** Fields that show credentials unless this argument is literally `false`: the default is not ours. */
export const DECRYPT_ARGUMENT = 'decryptVariables'

const secrets = new Map(SECRET_FIELDS.map(([type, fields]) => [type, fields.split(' ')] as const))

export function isSecretField(type: string, field: string): boolean {
  const fields = secrets.get(type)
  if (fields === undefined || field === '__typename') return false
  return fields.includes('*') || fields.includes(field)
}

/** Every secret field as an operation's name: "Environment.config". */
export function secretFieldNames(): readonly string[] {
  return SECRET_FIELDS.flatMap(([type, fields]) => {
    const names = fields === '*' ? [...(fieldsOf(type)?.keys() ?? [])] : fields.split(' ')
    return names.map((name) => `${type}.${name}`)
  })
}
