// How the suite runs. Services come from test/services/setup.ts, started when the first test asks for them.
import { defineConfig } from 'vitest/config';

// .ci/run counts the tests from this file.
const report = process.env['TEST_REPORT'];

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/services/setup.ts'],
    // Processes, not threads: tests use signals, and WASM modules of libraries keep state per process.
    pool: 'forks',
    // Servers and clients run beside each test file; more at once than this only makes two cores slower.
    maxWorkers: 2,
    testTimeout: 30_000,
    // The first test to ask waits for initdb or for an image to be pulled.
    hookTimeout: 180_000,
    teardownTimeout: 30_000,
    reporters: report ? ['default', ['json', { outputFile: report }]] : ['default'],
    // A focused test must not pass for the whole suite.
    allowOnly: process.env['CI'] === undefined,
    coverage: {
      provider: 'v8',
      include: ['src/**/*.ts'],
      reporter: ['text-summary', 'html', 'json-summary'],
    },
  },
});
