// A file of devices is looked at, then taken in; lines that can't be taken say why, and the same file again changes nothing.
import type { Page } from "@playwright/test";
import { rest, unique } from "../../support/system";
import { card, expect, fact, look, note, open, test } from "../../support/test";

test("a file of devices is previewed with what is wrong in it, and imported once", async ({ page }) => {
  const name = unique("moved");
  const lines = [
    "device_id,type,tags,security_token",
    `${name}-1,moved-kind,${name},${"0123456789abcdef".repeat(2)}`,
    `${name}-2,moved-kind,,`,
    `${name}-2,moved-kind,,`,
    "bad id,moved-kind,,",
  ];
  await open(page, "/enrolment?tab=import");
  await send(page, lines);
  const preview = card(page, "Preview of devices.csv");
  await expect(fact(preview, "New")).toHaveText("2");
  await expect(fact(preview, "Not taken")).toHaveText("2");
  const wrong = preview.getByRole("table", { name: "Lines that are not taken" }).getByRole("row");
  await expect(wrong).toHaveCount(1 + 2);
  await expect(wrong.nth(1)).toContainText(`${name}-2 stands on line 3 already. Leave one of them out.`);
  await expect(wrong.nth(2)).toContainText("Give the device another id here and on the device itself.");
  expect((await rest("GET", `/devices?q=id:${name}-*`)).total, "nothing is changed yet").toBe(0);
  await look(page, "journey-import-preview");

  await preview.getByRole("button", { name: "Import 2 devices" }).click();
  await expect(note(page, "2 devices imported")).toBeVisible();
  await expect(fact(card(page, "Import of devices.csv"), "Came in")).toHaveText("2");
  await expect(card(page, "Import of devices.csv")).toContainText("2 devices imported");
  const first = await rest("GET", `/devices/${name}-1`);
  expect([first.row.state, first.row.tags]).toEqual(["preregistered", [name]]);
  expect(first.target_token).toBeTruthy();

  await send(page, lines);
  await expect(fact(card(page, "Preview of devices.csv"), "There already, and the same")).toHaveText("2");
  await expect(page.getByText("There is nothing to import.")).toBeVisible();
});

async function send(page: Page, lines: string[]) {
  const file = { name: "devices.csv", mimeType: "text/csv", buffer: Buffer.from(lines.join("\n")) };
  await page.getByLabel("File with devices").setInputFiles(file);
  await page.getByRole("button", { name: "Show preview" }).click();
  await page.waitForURL(/import=imp_/);
}
