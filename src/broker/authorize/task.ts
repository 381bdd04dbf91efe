import type { Lease } from '../../core/lease.ts'
import type { GrantRule, Template } from '../../core/template.ts'
import type { LeaseId } from '../../lib/ids.ts'
import type { JsonObject } from '../../lib/json.ts'
import type { Guard, Place, Proxied } from '../../providers/guard.ts'
import type { Provider } from '../../providers/provider.ts'
import type { Gate } from '../../proxy/gate.ts'
import type { Passing } from './passing.ts'

/** What the gate knows of one lease, in memory and no longer than the lease lives. */
export interface Task {
  readonly lease: LeaseId
  readonly environment: string
  readonly isProtected: boolean
  readonly template: Pick<Template, 'name' | 'egress' | 'confirm' | 'approvalWaitMs'>
  readonly principal: Lease['principal']
  readonly actor: Lease['actor']
  readonly reason: string | null
  /** When it ends whatever happens. Milliseconds since the epoch. */
  readonly expiresAt: number
  /** The longest that one question to the gate may take, a person's decision included. */
  readonly judgeMs: number
  readonly grants: readonly TaskGrant[]
  /** Things that this lease itself may have renamed: their names prove nothing to an approver. */
  readonly renamed: Set<string>
}

/** One proxied grant. */
export interface TaskGrant {
  readonly name: string
  readonly provider: Provider
  readonly guard: Guard
  readonly connection: string
  readonly target: JsonObject
  readonly place: Place
  readonly rule: GrantRule
  readonly passing: Passing
  readonly proxied: Proxied
  /** Those of the task's environment variables that hold the phantom. */
  readonly variables: readonly string[]
}

/** A listener of its own for one lease, as the daemon made it. */
export interface OpenProxy {
  readonly url: string
  readonly caFile: string
  readonly bundleFile: string
}

/** What the daemon needs to open it. */
export interface ProxyOrder {
  readonly lease: LeaseId
  readonly gate: Gate
  readonly notAfter: number
  /** The longest that one question to the gate may take, a person's decision included. */
  readonly judgeMs: number
  /** The task has no network: its proxy listens on a unix socket in the lease's folder. */
  readonly confined: boolean
  /** False: the networks around the broker are none of the task's, unless the template lists the host. */
  readonly privateNetworks: boolean
  /** Called when the last socket is closed. */
  readonly over: () => Promise<void>
}
