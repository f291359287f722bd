/**
 * Names of files as a page can write them among its own words. Consumed by client.ts, through which all names and messages come, and by the
 * page where it has the file itself.
 */

/** What turns the direction of the text that follows, without being seen, and control characters but tabs and ends of lines. */
const UNSEEN = /(?![\t\n])[\p{Cc}\u061C\u200E\u200F\u202A-\u202E\u2066-\u2069]/gu;

/** The text without them: a file may be called anything. */
export const legible = (text: string): string => text.replaceAll(UNSEEN, "");
