/** What `broker template init` writes: valid as it stands on a fresh machine, and worth editing. */
export const STARTER = `# Who may get which short-lived credentials, where, and for how long.
#
#   broker template check broker.yaml     says what is wrong, with line and column
#   broker template diff broker.yaml      says what would become possible that is not now
#   broker template apply broker.yaml     makes it so; until then this file has no effect
#
# Then: broker exec --env staging -- COMMAND
version: 1

# Places. A key under an environment is the name of a grant; templates use the same names, so that
# one template serves several environments.
environments:
  dev:
    api: { provider: jwt, audience: https://api.dev.example }

  staging:
    api: { provider: jwt, audience: https://api.staging.example }
    # A real database, after: broker connect postgres pg-staging
    # db: { connection: pg-staging, schemas: [public] }

  # In a protected environment everything beyond read needs approval and a lease lasts at most 1h.
  # A template for it needs a list of hosts as egress, and isolation mask or more.
  # production:
  #   protected: true
  #   db: { connection: pg-production, schemas: [public] }

templates:
  day-to-day:
    description: what a coding agent needs most days
    environments: [dev, staging]
    default: true          # chosen when broker exec names no template
    ttl: 30m
    maxTtl: 4h
    isolation: scrub       # the least that is accepted: scrub < mask < confine
    grants:
      # Risk classes (read, write, secret, execute, destructive, admin), operations by name, or globs
      # like deployment*. A glob never reaches secret, execute, destructive or admin operations.
      # deny beats approve beats allow; what is not named is denied.
      api: { allow: [read] }
      # db: { allow: [read, write], deny: [TRUNCATE] }
`
