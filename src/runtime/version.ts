/** The package's version, as `package.json` has it; a test holds them together. Consumed by what is remembered from one run to the next. */
export const VERSION = "0.1.0";
