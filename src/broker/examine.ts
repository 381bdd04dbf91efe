import { isBrokerError } from '../errors.ts'
import type { Finding } from '../providers/provider.ts'
import { callProvider } from './call.ts'
import type { Context } from './context.ts'

export interface Section {
  readonly title: string
  readonly findings: readonly Finding[]
}

/** What protects this broker and what does not, in sections. Asks every provider; changes nothing. */
export async function examine(context: Context): Promise<readonly Section[]> {
  const connections = await context.store.read.connections()
  const sections = await Promise.all(
    connections.map(({ name, provider }) => examineConnection(context, name, provider)),
  )
  return [
    { title: 'vault', findings: await examineVault(context) },
    { title: 'leases', findings: await examineLeases(context) },
    { title: 'policy', findings: await examinePolicy(context) },
    ...sections,
  ]
}

async function examineVault(context: Context): Promise<Finding[]> {
  try {
    const { kind, where, sealedBy, locked } = await context.vault.status()
    const findings: Finding[] = [{ level: 'ok', message: `secrets rest in ${where}`, hint: null }]
    if (sealedBy === 'key-file') {
      findings.push({
        level: 'warning',
        message: 'the vault file is opened by a key file on the same disk: weak',
        hint: 'use the OS keychain (BROKER_VAULT=keychain), or seal it with BROKER_VAULT_PASSPHRASE',
      })
    }
    if (locked) {
      findings.push({
        level: 'warning',
        message: `the ${kind} is locked: nothing that needs a stored secret can be issued or revoked`,
        hint: 'any command on a terminal asks for the passphrase',
      })
    }
    return findings
  } catch (error) {
    return [asFinding(error, 'the vault does not answer')]
  }
}

async function examineLeases(context: Context): Promise<Finding[]> {
  const unsettled = await context.store.read.unsettled(1000, '')
  const leases = await Promise.all(unsettled.map((id) => context.store.read.lease(id)))
  const stuck = leases.filter((lease) => lease?.state === 'stuck').length
  const findings: Finding[] = []
  if (!context.store.hasReserve()) {
    findings.push({
      level: 'problem',
      message: 'the disk is full: nothing is issued until there is room',
      hint: 'free some space where the broker keeps its state',
    })
  }
  findings.push(
    stuck > 0
      ? {
          level: 'problem',
          message: `${stuck} leases cannot be revoked (stuck)`,
          hint: 'see why: broker tokens',
        }
      : { level: 'ok', message: 'no lease is stuck', hint: null },
  )
  return findings
}

async function examinePolicy(context: Context): Promise<Finding[]> {
  const policy = await context.policy()
  const findings: Finding[] = [
    policy.version === 0
      ? {
          level: 'note',
          message: 'no broker.yaml is applied: only the built-in template "default"',
          hint: 'start one with: broker template init',
        }
      : { level: 'ok', message: `broker.yaml version ${policy.version} is applied`, hint: null },
  ]
  for (const template of Object.values(policy.configuration.templates)) {
    if (!template.unconfined) continue
    findings.push({
      level: 'warning',
      message: `template "${template.name}" is unconfined: its agent can act as you`,
      hint:
        policy.version === 0
          ? 'built in, it can only read; one of your own replaces it: broker template init'
          : 'set isolation: mask or confine for it and drop "unconfined"; what this machine reaches stands under isolation',
    })
  }
  for (const { template, message } of policy.trust.unusable) {
    findings.push({
      level: 'warning',
      message: `an oidc rule of template "${template}" lets nobody in: ${message}`,
      hint: 'correct it in broker.yaml and apply it again',
    })
  }
  return findings
}

async function examineConnection(
  context: Context,
  name: string,
  providerName: string,
): Promise<Section> {
  const title = `connection ${name} (${providerName})`
  try {
    const provider = await context.provider(providerName)
    const check = provider.check?.bind(provider)
    if (!check) return { title, findings: [] }
    const findings = await callProvider(context, name, async (connection, world) =>
      connection ? check(connection, world) : [],
    )
    return { title, findings }
  } catch (error) {
    return { title, findings: [asFinding(error, 'the connection could not be checked')] }
  }
}

function asFinding(error: unknown, otherwise: string): Finding {
  if (isBrokerError(error)) return { level: 'problem', message: error.message, hint: error.hint }
  return { level: 'problem', message: otherwise, hint: 'see broker daemon logs' }
}
