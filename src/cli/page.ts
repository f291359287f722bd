/**
 * A page that needs nothing else: style and script are inline, and a content security policy that names their hashes keeps everything
 * else from loading or running.
 *
 * Consumed by the report of a run and by `fluxion explain`.
 */
import { createHash } from "node:crypto";
import { html, trusted } from "../runtime/explain/html.ts";
import type { Markup } from "../runtime/explain/html.ts";

export interface Page {
  readonly title: string;
  /** A style sheet and a script of this project's own. */
  readonly style: string;
  readonly script: string;
  readonly body: Markup;
}

/** The whole page. The same parts give the same page, byte for byte. */
export function pageOf({ title, style, script, body }: Page): string {
  const policy = [
    "default-src 'none'",
    `style-src '${hash(style)}'`,
    `script-src '${hash(script)}'`,
    "img-src data:",
    "base-uri 'none'",
    "form-action 'none'",
  ].join("; ");
  const page = html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta http-equiv="Content-Security-Policy" content="${policy}" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <link rel="icon" href="data:," />
        <title>${title}</title>
        ${trusted(`<style>${style}</style>`)}
      </head>
      <body>
        ${body} ${trusted(`<script>${script}</script>`)}
      </body>
    </html> `;
  return page.text;
}

/** The source expression by which a content security policy admits exactly this inline text. */
function hash(text: string): string {
  return `sha256-${createHash("sha256").update(text, "utf8").digest("base64")}`;
}
