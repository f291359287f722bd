import { describe, expect, it } from "vitest";
import { readTar } from "../../../src/runtime/webgpu/tar.ts";

/** An entry as tar writes it: a header of 512 bytes, the content, zeros to the next multiple of 512. */
function entry(name: string, content: string, type = "0"): Buffer {
  const header = Buffer.alloc(512);
  header.write(name, 0);
  header.write(`${content.length.toString(8).padStart(11, "0")} `, 124);
  header.write(type, 156);
  return Buffer.concat([header, Buffer.from(content), Buffer.alloc(-content.length & 511)]);
}
const END = Buffer.alloc(1024);
const contents = (archive: Uint8Array) =>
  [...readTar(archive)].map(([name, bytes]) => [name, Buffer.from(bytes).toString()]);

describe("tar archives", () => {
  it("give their regular files, of any size", () => {
    const long = "x".repeat(513);
    const parts = [
      entry("folder", "", "5"),
      entry("folder/a.txt", "hello"),
      entry("empty", ""),
      entry("link", "", "2"),
    ];
    const old = entry("old", "y", "\0");
    expect(contents(Buffer.concat([...parts, old, entry("./long", long), entry("block", "z".repeat(512)), END]))).toEqual(
      [["folder/a.txt", "hello"], ["empty", ""], ["old", "y"], ["long", long], ["block", "z".repeat(512)]],
    ); // prettier-ignore
  });

  it("need no blocks of zeros at the end, and may be empty", () => {
    expect(contents(entry("a", "1"))).toEqual([["a", "1"]]);
    expect(contents(END)).toEqual([]);
    expect(contents(new Uint8Array(0))).toEqual([]);
  });

  it("are refused when they end within a file or have no size", () => {
    const whole = entry("a", "x".repeat(600));
    expect(() => readTar(whole.subarray(0, 1000))).toThrow("the archive ends within a");
    const bad = entry("b", "");
    bad.write("???????????", 124);
    expect(() => readTar(bad)).toThrow("the archive ends within b");
  });
});
