/**
 * Whether what a declaration is given has the functions of what it should be. Types say the same, but files of users are run without
 * their types being checked, and a part that is none would be noticed where nothing names the declaration any more.
 *
 * Consumed by flow() and flowMap().
 */

/**
 * @param of the declaration, as 'The flow "name"'
 * @param part what it is given as, as "interpolant"
 * @throws RangeError naming the declaration, the part, and the function that is missing
 */
export function requirePart<T extends object>(
  of: string,
  part: string,
  given: T,
  functions: readonly (keyof T & string)[],
): void {
  const value: unknown = given; // whatever its type says
  const missing = functions.find(
    (name) => typeof value !== "object" || value === null || typeof Reflect.get(value, name) !== "function",
  );
  if (missing !== undefined)
    throw new RangeError(`${of} has a value for its ${part} that is none: ${missing} is no function there.`);
}
