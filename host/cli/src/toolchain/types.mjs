// Writes TypeScript's types of the contract to .towpath/types. Generated from .towpath/wit by jco's own generator:
// its command line finds no file where it has no preopened folder, so the WIT is handed over as text.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const tools = dirname(fileURLToPath(import.meta.url));
const generator = "../node_modules/@bytecodealliance/jco-transpile/vendor/js-component-bindgen-component.js";
const { $init, generateTypes } = await import(pathToFileURL(join(tools, generator)));
await $init;
const wit = { tag: "source", val: readFileSync(join(tools, "wit/world.wit"), "utf8") };
for (const [name, bytes] of generateTypes("transformer", { wit, world: "transformer", guest: true })) {
  const file = join(tools, "types", name);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, bytes);
}
