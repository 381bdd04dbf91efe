import { defineConfig } from 'vitest/config'

// Real sandboxes: needs Linux and bubblewrap; as root the same is tried as an ordinary user as well.
export default defineConfig({
  define: { __BROKER_TEST_BUILD__: 'true', __BROKER_VERSION__: '"0.0.0-test"' },
  test: {
    name: 'isolation',
    root: `${import.meta.dirname}/../..`,
    include: ['test/isolation/**/*.test.ts'],
    testTimeout: 180_000,
    hookTimeout: 180_000,
    maxWorkers: 1,
  },
})
