/// <reference types="vite/client" />

/** The engine's worker; vite.config.ts says which file that is. */
declare module "studio-engine?worker&url" {
  const url: string;
  // eslint-disable-next-line import/no-default-export -- it is what Vite exports
  export default url;
}
