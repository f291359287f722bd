/** The name of our device in all tables, and the stem of the names of its variants. */
export const FLUXION = "fluxion";
