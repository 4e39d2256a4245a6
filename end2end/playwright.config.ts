// Browser journeys through a running Fleetward. `cargo xtask test --only browser` starts the system and then this;
// `npx playwright test` by itself starts one through `cargo xtask demo` (support/setup.ts).
import { defineConfig, devices } from "@playwright/test";

const desktop = { viewport: { width: 1440, height: 900 } };

export default defineConfig({
  testDir: "./tests",
  outputDir: "./results/artifacts",
  globalSetup: "./support/setup.ts",
  workers: 2,
  // On a machine that others use as well, a second try tells a slow moment from a defect. What passes only then is listed by name.
  retries: process.env.CI ? 1 : 0,
  forbidOnly: !!process.env.CI,
  // When everything fails for one reason, the first few say it as well as all of them, and sooner.
  maxFailures: process.env.CI ? 12 : 0,
  timeout: 60_000,
  expect: { timeout: 10_000 },
  reporter: [["list"], ["json", { outputFile: "results/report.json" }]],
  use: {
    launchOptions: {
      executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
      args: [
        "--no-sandbox", "--font-render-hinting=none", "--force-color-profile=srgb", "--disable-gpu", "--disable-quic",
        "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
      ],
    },
    // Recording costs a tenth of the time; where nobody can open one, only the try after a failure is recorded.
    trace: process.env.CI ? "on-first-retry" : "retain-on-failure",
    screenshot: "only-on-failure",
    timezoneId: "Asia/Kathmandu", // not the server's zone: a time formatted on both sides would not hydrate
    locale: "en-GB",
    contextOptions: { reducedMotion: "reduce" },
  },
  projects: [
    { name: "light", use: { ...desktop, colorScheme: "light" }, testMatch: /pages\.spec/ },
    { name: "dark", use: { ...desktop, colorScheme: "dark" }, testMatch: /pages\.spec/ },
    { name: "phone", use: { ...devices["Pixel 7"], viewport: { width: 390, height: 844 } }, testMatch: /phone\.spec/ },
    { name: "nojs", use: { ...desktop, javaScriptEnabled: false }, testMatch: /nojs\.spec/ },
    { name: "journeys", use: desktop, testMatch: /journeys\/.*\.spec/ },
  ],
});
