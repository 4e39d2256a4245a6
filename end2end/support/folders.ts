// Folders for what a test keeps on the disk: in one for the whole run, which setup.ts makes and takes away again. Keys of devices do not pile up there.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A folder of a test's own, whose name begins so. */
export const folderFor = (name: string) => mkdtempSync(join(process.env.END2END_FOLDERS ?? tmpdir(), `${name}-`));

/** Makes the folder of all of them; what is returned takes it away. */
export function foldersOfRun() {
  const all = mkdtempSync(join(tmpdir(), "fleetward-journeys-"));
  process.env.END2END_FOLDERS = all;
  return () => rmSync(all, { recursive: true, force: true });
}
