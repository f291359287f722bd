/**
 * One after the other: who enters waits until those before have left. Consumed by executables, whose runs share temporaries.
 */
export class Turns {
  #last: Promise<void> = Promise.resolve();

  /** Waits for its turn. The function that it gives ends the turn. */
  async enter(): Promise<() => void> {
    const before = this.#last;
    let leave = (): void => undefined;
    this.#last = new Promise((resolve) => {
      leave = resolve;
    });
    await before;
    return leave;
  }

  /** Waits for all turns that were asked for. */
  end(): Promise<void> {
    return this.#last;
  }
}
