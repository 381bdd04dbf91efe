import type { Binding, Configuration, Environment } from '../core/template.ts'

/**
 * What holds with nothing applied (contract §3), so that a fresh machine works. Written here in its
 * compiled form, because it is exempt from one rule of `limits.ts`: its one grant is a token of our
 * own that can only read, so the protected environment needs no egress list. `unconfined` says
 * openly that it is served at scrub.
 */
export const BUILTIN: Configuration = {
  environments: {
    dev: place('dev', false),
    staging: place('staging', false),
    production: place('production', true),
  },
  providers: {},
  templates: {
    default: {
      name: 'default',
      description: "built in: the broker's own token, good for read",
      isDefault: true,
      environments: ['dev', 'staging', 'production'],
      ttlMs: 30 * 60_000,
      maxTtlMs: 3_600_000,
      isolation: 'scrub',
      egress: 'open',
      unconfined: true,
      who: [{ kind: 'local' }],
      approval: 'none',
      confirm: 'totp',
      approvalWaitMs: 60_000,
      maxLive: null,
      grants: { api: { allow: ['read'], approve: [], deny: [] } },
    },
  },
}

function place(name: string, isProtected: boolean): Environment {
  const api: Binding = { provider: 'jwt', connection: null, target: {} }
  return { name, protected: isProtected, bindings: { api } }
}
