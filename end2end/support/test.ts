// What every test has: the address of the system, a browser signed in as someone, and an eye on the console.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test as base, expect, type Browser, type Locator, type Page } from "@playwright/test";
import { sessionOf } from "./sessions";
import { results, system, type Role } from "./system";

const axeSource = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const AXE_TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];

export const test = base.extend<{ role: Role | "nobody"; noise: string[] }>({
  /** Who is signed in; `nobody` for nobody. */
  role: ["operator", { option: true }],
  baseURL: async ({}, use) => use(system().operator_url),
  storageState: async ({ role, browser }, use) => use(role === "nobody" ? undefined : await sessionOf(browser, role)),
  /** Errors and warnings of the page: a hydration mismatch speaks only there. Checked after every test that opens a page. */
  noise: [
    async ({ page, javaScriptEnabled }, use) => {
      const noise: string[] = [];
      // Without scripts the browser says that it preloaded some for nothing.
      if (javaScriptEnabled) listen(page, noise);
      await use(noise);
      expect(noise, "errors and warnings in the browser's console").toEqual([]);
    },
    { auto: true },
  ],
});
export { expect };

function listen(page: Page, noise: string[]) {
  page.on("pageerror", (error) => noise.push(`page error: ${error.message}`));
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type()) && !expected(message.text())) noise.push(`${message.type()}: ${message.text()}`);
  });
}

/** A refused form answers with its status, which Chromium reports as an error of its own. */
const expected = (text: string) => /the server responded with a status of 4\d\d/.test(text);

/** Opens a page and waits until it is alive: a click before that would be lost. */
export async function open(page: Page, path: string) {
  await page.goto(path);
  await hydrated(page);
}

export const hydrated = (page: Page) => page.locator("html[data-hydrated]").waitFor();

/** Answers the question behind a rollout's button, in its dialog or on its own page. */
export async function decide(page: Page, verb: "Approve" | "Reject", remark: string) {
  await page.getByRole("link", { name: `${verb}…` }).first().click();
  await page.getByLabel(verb === "Approve" ? "Remark" : "Reason").filter({ visible: true }).fill(remark);
  await page.getByRole("button", { name: verb, exact: true }).click();
}

/** The state of a rollout beside its name. */
export const state = (page: Page, word: string) => page.locator(".page-title").getByText(word, { exact: true });

/** The titled box with this heading. */
export const card = (page: Page, title: string | RegExp) => page.locator("section.card").filter({ has: page.getByRole("heading", { level: 2, name: title, exact: true }) });

/** What stands behind a term in a list of facts. */
export const fact = (within: Page | Locator, term: string) =>
  within.locator("dt").filter({ hasText: new RegExp(`^\\s*${term.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}\\s*$`) }).locator("xpath=following-sibling::dd[1]");

/** The short note that something was done. */
export const note = (page: Page, word: string) => page.getByRole("status", { name: "Notifications" }).getByText(word, { exact: true });

/** What the browser itself says against an input, before anything is sent; empty when it lets it pass. */
export const refusedByBrowser = (input: Locator) => input.evaluate((el: HTMLInputElement) => el.validationMessage);

/** Lets a form pass whatever is in it, as a browser does that knows no limits: then the server has the last word. */
export const withoutLimits = (input: Locator) => input.evaluate((el: HTMLInputElement) => void (el.form!.noValidate = true));

/** A second person in a browser of their own. */
export async function someoneElse(browser: Browser, role: Role) {
  const context = await browser.newContext({ baseURL: system().operator_url, storageState: await sessionOf(browser, role), timezoneId: "UTC", locale: "en-GB" });
  return context.newPage();
}

/** Every rule of WCAG 2.2 AA that a program can check, on the page as it is now; and no id twice, because a label would lead to another form's control. */
export async function expectAccessible(page: Page) {
  // What has scrolled below the bar at the top is no target that is too small.
  await page.evaluate(() => window.scrollTo(0, 0));
  const twice = await page.evaluate(() => {
    const ids = [...document.querySelectorAll("[id]")].map((el) => el.id);
    return [...new Set(ids.filter((id, place) => ids.indexOf(id) !== place))];
  });
  expect(twice, "ids that stand twice").toEqual([]);
  await page.evaluate(axeSource);
  const found = await page.evaluate(async (tags) => {
    const { violations } = await (window as any).axe.run(document, { runOnly: { type: "tag", values: tags }, resultTypes: ["violations"] });
    return violations.map((v: any) => `${v.id}: ${v.help}\n` + v.nodes.slice(0, 5).map((n: any) => `    ${n.target.join(" ")}  ${n.failureSummary?.split("\n")[1] ?? ""}`).join("\n"));
  }, AXE_TAGS);
  expect(found, "axe").toEqual([]);
}

/** The page as it is now, dialog and all: axe and a picture in both themes, and on a phone nothing that sticks out. */
export async function look(page: Page, name: string) {
  const view = page.viewportSize()!;
  for (const colorScheme of ["dark", "light"] as const) {
    await page.emulateMedia({ colorScheme });
    await expectAccessible(page);
    await picture(page, `${name}-${colorScheme}`);
  }
  await page.setViewportSize({ width: 390, height: 844 });
  await expectNoSideScroll(page);
  await picture(page, `${name}-narrow`);
  await page.setViewportSize(view);
}

/** Nothing sticks out sideways: only regions made for it may scroll. */
export async function expectNoSideScroll(page: Page) {
  const { page: wide, view, culprits } = await page.evaluate(() => {
    const view = document.documentElement.clientWidth;
    const scrolls = (el: Element | null): boolean => !!el && el !== document.documentElement && (getComputedStyle(el).overflowX !== "visible" || scrolls(el.parentElement));
    const culprits = [...document.querySelectorAll("body *")]
      .filter((el) => el.getBoundingClientRect().right > view + 1 && !scrolls(el.parentElement))
      .slice(0, 5)
      .map((el) => `${el.tagName.toLowerCase()}.${el.className} ${Math.round(el.getBoundingClientRect().right)}`);
    return { page: document.documentElement.scrollWidth, view, culprits };
  });
  expect(wide, `wider than the screen: ${culprits.join(", ")}`).toBeLessThanOrEqual(view);
}

/** Nothing stands out of its card, which may be wide though the page is: only regions made for it may scroll. */
export async function expectWithin(box: Locator) {
  const out = await box.evaluate((el) => {
    const { left, right } = el.getBoundingClientRect();
    const scrolls = (one: Element | null): boolean => !!one && one !== el && (getComputedStyle(one).overflowX !== "visible" || scrolls(one.parentElement));
    return [...el.querySelectorAll("*")]
      .filter((one) => one.checkVisibility() && !scrolls(one.parentElement))
      .map((one) => ({ one, at: one.getBoundingClientRect() }))
      .filter(({ at }) => at.width > 0 && (at.right > right + 1 || at.left < left - 1))
      .slice(0, 5)
      .map(({ one, at }) => `${one.tagName.toLowerCase()}.${one.className} ${Math.round(at.left)} to ${Math.round(at.right)}`);
  });
  expect(out, "sticks out of its card").toEqual([]);
}

/** No button that copies lies over the lines beside it. */
export async function expectCopyBesideLines(page: Page) {
  const covered = await page.locator(".code:has(> .btn)").evaluateAll((all) =>
    all
      .map((code) => [code.querySelector("pre")!, code.querySelector(".btn")!].map((el) => el.getBoundingClientRect()) as [DOMRect, DOMRect])
      .filter(([lines, copy]) => copy.width > 0 && copy.left < lines.right - 1 && copy.bottom > lines.top + 1)
      .map(([lines, copy]) => `${Math.round(copy.left)} before ${Math.round(lines.right)}`),
  );
  expect(covered, "covered by a button").toEqual([]);
}

/** What can be pressed or filled in is not cut off by the card it stands in, nor hidden behind an edge that has to be scrolled to. */
export async function expectNoControlCutOff(page: Page) {
  const cut = await page.evaluate(() =>
    [...document.querySelectorAll<HTMLElement>(".card :is(button, select, textarea, input:not([type=hidden]), a.btn)")]
      .filter((el) => el.checkVisibility() && !el.closest("dialog, .sr"))
      .flatMap((el) => {
        const own = el.getBoundingClientRect();
        for (let box = el.parentElement; box && !box.matches(".card"); box = box.parentElement) {
          const { left, right } = box.getBoundingClientRect();
          if (getComputedStyle(box).overflowX !== "visible" && (own.right > right + 1 || own.left < left - 1)) {
            return [`${el.getAttribute("aria-label") ?? el.getAttribute("name") ?? el.innerText} in ${box.className}`];
          }
        }
        return [];
      }),
  );
  expect(cut, "cut off").toEqual([]);
}

/** A picture for people, kept as an artefact of the run; none where the run's machine is gone before anybody looks. */
export async function picture(page: Page, name: string) {
  if (!process.env.CI) await page.screenshot({ path: join(results, "pictures", `${name}.png`), fullPage: true });
}
