/** Modules that studio/vite/typescript-assets.ts makes: texts of declaration files by their paths. */
declare module "virtual:fluxion-declarations" {
  export const files: Readonly<Record<string, string>>;
}
declare module "virtual:typescript-library" {
  export const files: Readonly<Record<string, string>>;
}
