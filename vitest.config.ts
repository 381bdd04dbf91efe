import { defineConfig } from 'vitest/config'

// Four projects: `main` needs nothing but npm; `services` needs real servers (PostgreSQL, a Secret
// Service) and is skipped loudly where they are missing, except in CI, where that is a failure.
// `isolation` needs Linux with bubblewrap, in the same way; as root it tries everything as an ordinary
// user as well. `optin` drives programs of others (the Railway CLI) and is run by those who have them.
const shared = {
  define: { __BROKER_TEST_BUILD__: 'true', __BROKER_VERSION__: '"0.0.0-test"' },
}

export default defineConfig({
  test: {
    projects: [
      {
        ...shared,
        test: {
          name: 'main',
          include: ['test/{unit,contract,daemon,cli,crash,proxy}/**/*.test.ts'],
          testTimeout: 60_000,
          hookTimeout: 60_000,
          maxWorkers: 3, // one waits while others work
        },
      },
      {
        ...shared,
        test: {
          name: 'services',
          include: ['test/services/**/*.test.ts'],
          testTimeout: 120_000,
          hookTimeout: 120_000,
          maxWorkers: 2, // one waits while the other works
        },
      },
      {
        ...shared,
        test: {
          name: 'isolation',
          include: ['test/isolation/**/*.test.ts'],
          testTimeout: 180_000,
          hookTimeout: 180_000,
          maxWorkers: 1,
        },
      },
      {
        ...shared,
        test: {
          name: 'optin',
          include: ['test/optin/**/*.test.ts'],
          testTimeout: 120_000,
          hookTimeout: 120_000,
          maxWorkers: 1,
        },
      },
    ],
  },
})
