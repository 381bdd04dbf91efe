/** Every route of the daemon, by who may call it. `operator` routes refuse a lease's handle. */
export type Caller = 'anyone' | 'operator' | 'operator-or-lease'

export const ROUTES = {
  health: { method: 'GET', path: '/healthz', caller: 'anyone' },
  jwks: { method: 'GET', path: '/.well-known/jwks.json', caller: 'anyone' },
  metadata: { method: 'GET', path: '/.well-known/oauth-authorization-server', caller: 'anyone' },
  /** Of a server alone. */
  ready: { method: 'GET', path: '/readyz', caller: 'anyone' },
  /** Of a server alone. */
  metrics: { method: 'GET', path: '/metrics', caller: 'anyone' },
  /** Of a server alone: RFC 8693. */
  exchange: { method: 'POST', path: '/oauth/token', caller: 'anyone' },
  introspect: { method: 'POST', path: '/oauth/introspect', caller: 'operator' },
  oauthRevoke: { method: 'POST', path: '/oauth/revoke', caller: 'operator' },
  daemonStatus: { method: 'GET', path: '/v1/daemon', caller: 'operator' },
  daemonStop: { method: 'POST', path: '/v1/daemon/stop', caller: 'operator' },
  listLeases: { method: 'GET', path: '/v1/leases', caller: 'operator-or-lease' },
  showLease: { method: 'GET', path: '/v1/leases/:id', caller: 'operator-or-lease' },
  issueLease: { method: 'POST', path: '/v1/leases', caller: 'operator-or-lease' },
  planLease: { method: 'POST', path: '/v1/leases/plan', caller: 'operator-or-lease' },
  ackLease: { method: 'POST', path: '/v1/leases/:id/ack', caller: 'operator-or-lease' },
  /** Of a server alone: the lease's variables, once. */
  claimLease: { method: 'POST', path: '/v1/leases/:id/credentials', caller: 'operator-or-lease' },
  revokeLease: { method: 'DELETE', path: '/v1/leases/:id', caller: 'operator' },
  revokeLeases: { method: 'POST', path: '/v1/leases/revoke', caller: 'operator' },
  session: { method: 'POST', path: '/v1/session', caller: 'operator-or-lease' },
  listConnections: { method: 'GET', path: '/v1/connections', caller: 'operator' },
  connect: { method: 'POST', path: '/v1/connections', caller: 'operator' },
  disconnect: { method: 'DELETE', path: '/v1/connections/:name', caller: 'operator' },
  listProviders: { method: 'GET', path: '/v1/providers', caller: 'operator' },
  checkTemplates: { method: 'POST', path: '/v1/templates/check', caller: 'operator' },
  testTemplates: { method: 'POST', path: '/v1/templates/test', caller: 'operator' },
  applyTemplates: { method: 'POST', path: '/v1/templates/apply', caller: 'operator' },
  listTemplates: { method: 'GET', path: '/v1/templates', caller: 'operator' },
  showTemplate: { method: 'GET', path: '/v1/templates/:name', caller: 'operator' },
  listApprovals: { method: 'GET', path: '/v1/approvals', caller: 'operator' },
  showApproval: { method: 'GET', path: '/v1/approvals/:id', caller: 'operator' },
  approve: { method: 'POST', path: '/v1/approvals/:id/approve', caller: 'operator' },
  deny: { method: 'POST', path: '/v1/approvals/:id/deny', caller: 'operator' },
  enroll: { method: 'POST', path: '/v1/approvals/enroll', caller: 'operator' },
  confirmEnrollment: { method: 'POST', path: '/v1/approvals/enroll/confirm', caller: 'operator' },
  listAudit: { method: 'GET', path: '/v1/audit', caller: 'operator' },
  verifyAudit: { method: 'GET', path: '/v1/audit/verify', caller: 'operator' },
  doctor: { method: 'GET', path: '/v1/doctor', caller: 'operator' },
  unlockVault: { method: 'POST', path: '/v1/vault/unlock', caller: 'operator' },
} as const satisfies Record<string, { method: string; path: string; caller: Caller }>

export type RouteName = keyof typeof ROUTES
