/**
 * Makes @tensorflow/tfjs-node with TensorFlow's own library, in a folder: the package and the headers of Node's addons from npm, without
 * install scripts; the library and its headers out of the wheel on PyPI; the addon between the two compiled from the package's sources.
 * What is finished is kept, and an interrupted part starts over: each is made beside its place and moved there.
 *
 * Consumed by `run.js` and, as a recipe for people, by docs/tfjs.md. For another version of TensorFlow: its number and the hash of its
 * wheel.
 */
import { spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";

const PACKAGES = { "@tensorflow/tfjs-node": "4.22.0", "node-api-headers": "1.9.0" };
export const TENSORFLOW = "2.18.1";
const WHEEL = `tensorflow-cpu==${TENSORFLOW}`;
const WHEEL_HASH = "sha256:810c75d7149d2da0cb2092187817b0dcabb80728ca9f9cf3a61f3f42fadd1298";
/** Which of the wheels has that hash. They differ in what they are for Python alone. */
const WHEEL_FOR = ["--python-version", "311", "--platform", "manylinux2014_x86_64"];

const EXTRACT = `
import sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as wheel:
    for name in wheel.namelist():
        if name.startswith(("tensorflow/include/", "tensorflow/libtensorflow_")):
            wheel.extract(name, sys.argv[2])
`;

/** Says why it cannot be made on this machine, which is no mistake of this checkout. */
export class Unavailable extends Error {}

const say = (line) => console.log(`tfjs-node: ${line}`);

/** Runs a command. @returns what it printed, and whether it went well */
function tried(command, args, options = {}) {
  const { status, error, stdout, stderr } = spawnSync(command, args, { encoding: "utf8", ...options });
  return { ok: status === 0, text: `${stdout ?? ""}${stderr ?? ""}${error?.message ?? ""}`.trim() };
}

const failure = (command, args, text) => new Error(`"${command} ${args.join(" ")}" failed:\n${text}`);

function must(command, args, options) {
  const { ok, text } = tried(command, args, options);
  if (!ok) throw failure(command, args, text);
}

const lastLine = (text) => text.split("\n").at(-1);

/** Makes a part unless it is there: in a new folder, of which `make` returns what to move to its place. */
function part(path, name, make) {
  if (existsSync(path)) return;
  const began = Date.now();
  say(`${name} …`);
  const folder = mkdtempSync(join(path, "..", "unfinished-"));
  try {
    renameSync(make(folder), path);
  } catch (error) {
    // Another process was faster, with the same files.
    if (!["ENOTEMPTY", "EEXIST"].includes(error.code) || !existsSync(path)) throw error;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  say(`${name}: ${((Date.now() - began) / 1000).toFixed(1)} s`);
}

/** Removes what was interrupted long ago; what is young may be another process at work. */
function removeAbandoned(home) {
  if (!existsSync(home)) return;
  for (const name of readdirSync(home)) {
    const path = join(home, name);
    if (name.startsWith("unfinished-") && Date.now() - statSync(path).mtimeMs > 3_600_000)
      rmSync(path, { recursive: true, force: true });
  }
}

/** The package, which uses the checkout's TensorFlow.js: a second copy would register everything twice. */
function installPackages(folder) {
  writeFileSync(join(folder, "package.json"), JSON.stringify({ private: true, dependencies: PACKAGES }));
  const install = ["install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock"];
  const { ok, text } = tried("npm", install, { cwd: folder });
  const unreached =
    /\b(?:ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ENETUNREACH|EHOSTUNREACH|ETIMEDOUT|ENOTCACHED)\b/.exec(
      text,
    );
  if (!ok && unreached !== null) throw new Unavailable(`npm does not reach its registry (${unreached[0]}).`);
  if (!ok) throw failure("npm", install, text);
  const scope = join(folder, "node_modules", "@tensorflow");
  for (const name of readdirSync(scope))
    if (name !== "tfjs-node") rmSync(join(scope, name), { recursive: true });
  return join(folder, "node_modules");
}

function fetchLibrary(folder) {
  const pip = tried("python3", ["-m", "pip", "--version"]);
  if (!pip.ok)
    throw new Unavailable(`python3 with pip is needed to get ${WHEEL} from PyPI, and is not there.`);
  const requirements = join(folder, "requirements.txt");
  writeFileSync(requirements, `${WHEEL} --hash=${WHEEL_HASH}\n`);
  const download = [
    "-m", "pip", "--disable-pip-version-check", "download", "--no-deps", "--no-cache-dir", "--require-hashes",
    "--only-binary=:all:", ...WHEEL_FOR, "--dest", folder, "--requirement", requirements,
  ]; // prettier-ignore
  // How far it is, it says by itself; what went wrong, it says on the other stream.
  const got = tried("python3", download, { stdio: ["ignore", "inherit", "pipe"] });
  if (/DO NOT MATCH THE HASHES/.test(got.text))
    throw new Error(`PyPI's ${WHEEL} is not the one that was tested:\n${got.text}`);
  if (!got.ok) throw new Unavailable(`${WHEEL} could not be had from PyPI (${lastLine(got.text)}).`);
  const wheel = readdirSync(folder).find((name) => name.endsWith(".whl"));
  must("python3", ["-c", EXTRACT, join(folder, wheel), folder]);
  return join(folder, "tensorflow");
}

function findCompiler() {
  const names = [process.env.CXX, "g++", "c++", "clang++"].filter(
    (name) => name !== undefined && name !== "",
  );
  const found = names.find((name) => tried(name, ["--version"]).ok);
  if (found === undefined)
    throw new Unavailable(`a C++ compiler is needed, and there is none of ${names.join(", ")}.`);
  return found;
}

/** The addon knows where the library is by its place relative to its own. */
function compileAddon(folder, { compiler, modules, library }) {
  const sources = join(modules, "@tensorflow", "tfjs-node", "binding");
  mkdirSync(join(folder, "napi-v8"));
  must(compiler, [
    "-O2", "-std=gnu++17", "-fPIC", "-shared", "-DNAPI_VERSION=8",
    "-I", join(modules, "node-api-headers", "include"), "-I", join(library, "include"),
    ...readdirSync(sources).filter((name) => name.endsWith(".cc")).map((name) => join(sources, name)),
    "-o", join(folder, "napi-v8", "tfjs_binding.node"),
    "-L", library, "-l:libtensorflow_cc.so.2", "-l:libtensorflow_framework.so.2",
    "-Wl,-rpath,$ORIGIN/../../../../../tensorflow",
  ]); // prettier-ignore
  return folder;
}

/**
 * Makes what is missing of it.
 * @param home an absolute path inside a checkout with its packages installed
 * @returns the folder of modules that has the package
 * @throws Unavailable where it cannot be had
 */
export function prepare(home) {
  if (process.platform !== "linux" || process.arch !== "x64")
    throw new Unavailable(`the wheel is for linux-x64, and this is ${process.platform}-${process.arch}.`);
  mkdirSync(home, { recursive: true });
  const [modules, library] = [join(home, "node_modules"), join(home, "tensorflow")];
  const addon = join(modules, "@tensorflow", "tfjs-node", "lib");
  for (const folder of [home, join(addon, "..")]) removeAbandoned(folder);
  const compiler = existsSync(addon) ? undefined : findCompiler(); // before anything is downloaded in vain
  part(modules, `npm install ${Object.entries(PACKAGES).map((entry) => entry.join("@")).join(" ")}`, installPackages); // prettier-ignore
  part(library, `libtensorflow of ${WHEEL}, 230 MB`, fetchLibrary);
  part(addon, "compiling the addon", (folder) => compileAddon(folder, { compiler, modules, library }));
  return modules;
}
