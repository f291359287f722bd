/**
 * A tagged template for HTML and inline SVG that escapes everything except other templates. The texts in a report come
 * from any user's file, so escaping is the default and cannot be forgotten.
 *
 * Pure. Consumed by every section of the command line's reports, and by the map of the memory. There is no way to insert an unescaped string except `trusted`, which is for
 * the page's own style sheet and script.
 */

/** Text that is already HTML. */
export class Markup {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/** What a template may hold: strings are escaped, lists are joined, `null` and `false` vanish. */
export type Content = Markup | string | number | null | false | readonly Content[];

const entities: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/**
 * Escapes text for element content and for quoted attributes. Control characters other than tab and newline become
 * their visible pictures (U+2400 and on), and lone surrogates the replacement character, since neither is valid in a
 * page.
 */
export function escapeHtml(text: string): string {
  return text
    .replace(/[&<>"']/g, (character) => entities[character] ?? character)
    .replace(/\p{Surrogate}/gu, "\u{fffd}")
    .replace(/(?![\t\n])\p{Cc}/gu, (character) => {
      const code = character.codePointAt(0) ?? 0;
      return code < 32 ? String.fromCodePoint(0x2400 + code) : code === 127 ? "\u{2421}" : "\u{fffd}";
    });
}

/** HTML from a template; every interpolated string is escaped. Attribute values must be quoted in the template. */
export function html(strings: TemplateStringsArray, ...values: readonly Content[]): Markup {
  // Line ends and indentation of the source are layout of the code, not of the page: one blank means the same.
  const parts = strings.map(
    (literal, i) => literal.replace(/\s*\n\s*/g, " ") + (i < values.length ? render(values[i] ?? null) : ""),
  );
  return new Markup(parts.join(""));
}

/** Marks text as HTML as it stands. Only for text that is written in this project. */
export function trusted(text: string): Markup {
  return new Markup(text);
}

function render(content: Content): string {
  if (content === null || content === false) return "";
  if (content instanceof Markup) return content.text;
  if (typeof content === "string" || typeof content === "number") return escapeHtml(String(content));
  return content.map(render).join("");
}
