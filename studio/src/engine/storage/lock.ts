/**
 * One tab at a time: a lock on a run, which the browser gives back when the tab is closed, however that happens. Consumed by run.ts, and by
 * runs.ts before a run is removed.
 */
import { UserError } from "../../../../src/runtime/files/errors.ts";
import type { Lock } from "../../../../src/runtime/run/store.ts";

/** Locks of this page, for browsers and pages where no tabs can be asked. */
const held = new Set<string>();

/** Takes the lock of a run. @throws UserError when this tab or another has it */
export async function lockRun(id: string): Promise<Lock> {
  if (held.has(id)) throw new UserError(`The run ${id} is being worked on in this tab already.`);
  held.add(id);
  // Absent on pages that are not secure, and outside of browsers, whatever the types say.
  const { locks } = (globalThis as { readonly navigator?: Partial<Navigator> }).navigator ?? {};
  let giveBack: (() => void) | undefined;
  const got =
    locks === undefined ||
    (await new Promise<boolean>((resolve, reject) => {
      locks
        .request(`fluxion-studio/${id}`, { ifAvailable: true }, (lock) => {
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
    throw new UserError(
      `The run ${id} is in use by another tab of this page; pause it there or close that tab.`,
    );
  }
  return {
    release: () => {
      if (!held.delete(id)) return;
      giveBack?.();
    },
  };
}
