// The machine's clock as one program sees it, to be set while it runs: a library in front of C's own adds what a file says to the time of day. The clock that
// nobody can set is left alone. Linux only; it takes a C compiler, `cc`, as building Fleetward does.
import { execFileSync } from "node:child_process";
import { closeSync, openSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { folderFor } from "./folders";

const SOURCE = `
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static volatile int64_t *ahead;

__attribute__((constructor)) static void look(void) {
  int file = open(getenv("CLOCK_AHEAD"), O_RDONLY);
  void *seen = mmap(NULL, sizeof *ahead, PROT_READ, MAP_SHARED, file, 0);
  if (seen == MAP_FAILED) abort();
  ahead = seen;
  close(file);
}

int clock_gettime(clockid_t which, struct timespec *at) {
  int failed = (int)syscall(SYS_clock_gettime, which, at);
  if (!failed && which == CLOCK_REALTIME && ahead) at->tv_sec += *ahead;
  return failed;
}
`;

export class SettableClock {
  private readonly folder = folderFor("clock");
  private readonly ahead = join(this.folder, "ahead");
  /** What a program has to have in its environment to go by it. */
  readonly surroundings: Record<string, string>;

  constructor() {
    // A run that leaves something out is not green.
    if (process.platform !== "linux") throw new Error("a program's clock is set from the outside on Linux alone: run this journey there");
    const [source, library] = [join(this.folder, "clock.c"), join(this.folder, "clock.so")] as const;
    writeFileSync(source, SOURCE);
    execFileSync("cc", ["-shared", "-fPIC", "-O2", "-o", library, source], { stdio: "pipe" });
    writeFileSync(this.ahead, Buffer.alloc(8));
    this.surroundings = { LD_PRELOAD: library, CLOCK_AHEAD: this.ahead };
  }

  /** Sets it so many seconds ahead of the right time; 0 sets it right. */
  set(seconds: number) {
    const bytes = Buffer.alloc(8);
    bytes.writeBigInt64LE(BigInt(seconds));
    // In place: whoever looks at the file never finds it empty.
    const file = openSync(this.ahead, "r+");
    writeSync(file, bytes, 0, bytes.length, 0);
    closeSync(file);
  }

  end = () => rmSync(this.folder, { recursive: true });
}
