// The brand of a failed shape or dtype rule: a type whose only content is a sentence for the user.
// Consumed by: every rule in this folder (returned on failure) and check.ts (puts it where the compiler
// prints it).
// To add a message: return ShapeError<`op: what is wrong: these numbers`> from the rule, written out there
// (an alias would be printed by its own name instead). Keep the sentence under 250 characters: longer types
// are cut in print.

declare const sentence: unique symbol;

/**
 * What a rule returns in place of a shape when it fails. No value has this type, so a failed op is used no
 * further.
 */
export interface ShapeError<Sentence extends string = string> {
  readonly [sentence]: Sentence;
}
