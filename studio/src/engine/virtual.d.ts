/** The URL of the text that comes with the studio; studio/vite/bundled-text.ts makes it. */
declare module "virtual:bundled-text" {
  const url: string;
  // eslint-disable-next-line import/no-default-export -- as Vite gives URLs of assets
  export default url;
}
