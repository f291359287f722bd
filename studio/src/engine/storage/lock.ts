/**
 * One tab at a time: a lock on a run, which the browser gives back when the tab is closed, however that happens. Consumed by run.ts, and by
 * runs.ts before a run is removed.
 */
import { UserError } from "../../../../src/runtime/files/errors.ts";
import type { Lock } from "../../../../src/runtime/run/store.ts";

/** Locks of this page, for browsers and pages where no tabs can be asked. */
const held = new Set<string>();

const nameOf = (id: string): string => `fluxion-studio/${id}`;

/** Absent on pages that are not secure, and outside of browsers, whatever the types say. */
const lockManager = (): LockManager | undefined =>
  (globalThis as { readonly navigator?: Partial<Navigator> }).navigator?.locks;

/** Resolves when nobody has a run to itself, or after some milliseconds. A worker that was ended has its lock for a moment yet. */
export async function unlocked(id: string, most: number): Promise<void> {
  const released = lockManager()?.request(nameOf(id), { signal: AbortSignal.timeout(most) }, () => undefined);
  await released?.catch(() => undefined); // it did not come in time, and whoever needs it says who has it
}

/** Takes the lock of a run. @throws UserError when this tab or another has it */
export async function lockRun(id: string): Promise<Lock> {
  if (held.has(id)) throw new UserError(`The run ${id} is being worked on in this tab already.`);
  held.add(id);
  const locks = lockManager();
  let giveBack: (() => void) | undefined;
  const got =
    locks === undefined ||
    (await new Promise<boolean>((resolve, reject) => {
      locks
        .request(nameOf(id), { ifAvailable: true }, (lock) => {
          resolve(lock !== null);
          // The browser holds it until this promise is settled.
          return lock === null ? undefined : new Promise<void>((release) => (giveBack = release));
        })
        .catch(reject);
    }).catch((error: unknown) => {
      held.delete(id);
      throw error;
    }));
  if (!got) {
    held.delete(id);
    throw new UserError("This run is in use by another tab of this page; pause it there or close that tab.");
  }
  return {
    release: () => {
      if (!held.delete(id)) return;
      giveBack?.();
    },
  };
}
