/** What vite makes of the address of a WebAssembly file. */
declare module "*.wasm?url" {
  const url: string;
  // oxlint-disable-next-line import/no-default-export -- it is vite that exports it so
  export default url;
}
