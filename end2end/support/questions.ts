// Pages that ask before something is done: in a dialog, and in the page itself where the address asks it.
import type { Locator, Page } from "@playwright/test";
import { asking, enrolled } from "./devices";
import { aRelease } from "./routes";
import { rest, unique } from "./system";
import { card, expect } from "./test";

export interface Asking {
  name: string;
  /** Sees to it that there is something to ask about: the page that asks, and what opens the question there. */
  prepare: (page: Page, open: (page: Page, path: string) => Promise<unknown>) => Promise<{ path: string; opener: Locator }>;
}

export const ASKING: Asking[] = [
  {
    name: "a freeze",
    prepare: async (page, open) => {
      const name = unique("Asked about");
      await open(page, "/freezes");
      const form = card(page, "New freeze");
      // Far ahead: it holds back nothing that other tests do.
      const year = new Date().getUTCFullYear() + 3;
      await form.getByLabel("Name").fill(name);
      await form.getByLabel("From (UTC)").fill(`${year}-01-02T06:00`);
      await form.getByLabel("Until (UTC)").fill(`${year}-01-03T06:00`);
      await form.getByRole("button", { name: "Freeze", exact: true }).click();
      await expect(page.getByRole("rowheader", { name })).toBeVisible();
      return { path: "/freezes", opener: inRow(page, name, "Take back…") };
    },
  },
  { name: "a group's name", prepare: async (page) => ({ path: await aGroup(), opener: link(page, "Rename…") }) },
  { name: "a group", prepare: async (page) => ({ path: await aGroup(), opener: link(page, "Delete…") }) },
  {
    name: "a certificate of the list",
    prepare: async (page) => ({ path: `/certificates?q=${await aDevice()}`, opener: link(page, "Revoke…") }),
  },
  {
    name: "a certificate",
    prepare: async (page) => {
      const { id } = (await rest("GET", `/certificates?q=${await aDevice()}`)).items[0];
      return { path: `/certificates/${id}`, opener: link(page, "Revoke…") };
    },
  },
  {
    name: "a certificate that is revoked",
    prepare: async (page) => {
      const { id } = (await rest("GET", `/certificates?q=${await aRevoked()}`)).items[0];
      return { path: `/certificates/${id}`, opener: link(page, "Raise the reason…") };
    },
  },
  { name: "a release", prepare: async (page) => ({ path: `/firmware/${await aRelease()}`, opener: link(page, "Deprecate…") }) },
  {
    name: "a signing key",
    prepare: async (page) => ({ path: "/firmware", opener: page.getByRole("table", { name: "Signing keys" }).getByRole("link", { name: "Revoke…" }).first() }),
  },
  { name: "a person", prepare: async (page) => ({ path: "/people", opener: inRow(page, "Vic Viewer", "Switch off…") }) },
  { name: "an API token", prepare: async (page) => ({ path: "/people", opener: inRow(page, "demo", "Revoke…") }) },
  {
    name: "an enrolment token",
    prepare: async (page) => {
      const label = unique("Asked about");
      await rest("POST", "/enrolment-tokens", { label });
      return { path: "/enrolment?tab=est", opener: inRow(page, label, "Revoke…") };
    },
  },
  { name: "a device that is let in", prepare: async (page) => ({ path: "/enrolment", opener: inRow(page, await aStranger(), "Approve…") }) },
  { name: "a device that is sent away", prepare: async (page) => ({ path: "/enrolment", opener: inRow(page, await aStranger(), "Reject…") }) },
  { name: "a device's tags", prepare: async (page) => ({ path: `/devices/${await aDevice()}`, opener: link(page, "Edit tags") }) },
  { name: "all devices of a list", prepare: async (page) => ({ path: `/devices?q=id:${await aDevice()}`, opener: link(page, "Tag…") }) },
];

/** The question in the page. */
export const question = (page: Page) => page.locator("section.card.ask");

/** The way out of the question in the page. */
export const wayOut = (page: Page) => question(page).locator("a[data-close]");

/** Path and query of a page. */
export const address = (page: Page) => {
  const { pathname, search } = new URL(page.url());
  return pathname + search;
};

const link = (page: Page, name: string) => page.getByRole("link", { name, exact: true });

/** In the row whose head begins with this name. */
const inRow = (page: Page, name: string, label: string) =>
  page.getByRole("row").filter({ has: page.getByRole("rowheader", { name: new RegExp(`^${name}(\\s|$)`) }) }).getByRole("link", { name: label });

async function aGroup() {
  const name = unique("Asked about");
  await rest("POST", "/groups", { name });
  return `/groups?name=${name.replace(" ", "%20")}`;
}

/** One that waits, for both questions about it. */
let stranger: Promise<string> | undefined;
const aStranger = () => {
  const id = unique("test-stranger");
  return (stranger ??= asking([id]).then(() => id));
};

/** One for all questions: none of them is answered. */
let device: Promise<string> | undefined;
const aDevice = () => (device ??= enrolled([unique("test-asked")]).then(([made]) => made!.id));

/** One whose certificate is revoked for a reason that a compromise may follow. */
let revoked: Promise<string> | undefined;
const aRevoked = () => (revoked ??= revocation());
async function revocation() {
  const [made] = await enrolled([unique("test-asked-revoked")]);
  const { id } = (await rest("GET", `/certificates?q=${made!.id}`)).items[0];
  await rest("POST", `/certificates/${id}/revoke`, { reason: "superseded" });
  return made!.id;
}
