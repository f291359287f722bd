/**
 * A moment in which the worker's messages are heard: what is awaited alone lets none in. Consumed by training.ts and by ../explain/step.ts.
 */
export const moment = (): Promise<void> =>
  new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.addEventListener("message", () => {
      port1.close();
      resolve();
    });
    port1.start();
    port2.postMessage(undefined);
  });
