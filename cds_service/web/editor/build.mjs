// Bundles editor.mjs and markdown.mjs, with the licences of everything that is in them, into the folder given.
import { readFile, readdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { build } from "esbuild";

const here = import.meta.dirname ?? path.dirname(new URL(import.meta.url).pathname);
const out = path.resolve(process.argv[2] ?? path.join(here, "../static"));
const { metafile } = await build({
  absWorkingDir: here,
  entryPoints: ["editor.mjs", "markdown.mjs"],
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  charset: "ascii",
  legalComments: "none", // all licences stand in one file beside the bundles
  metafile: true,
  outdir: out,
});

const packages = new Set();
for (const input of Object.keys(metafile.inputs)) {
  const found = /^node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(input);
  if (found) packages.add(found[1]);
}
const parts = ["Packages in editor.js and markdown.js, with their licences.\n"];
for (const name of [...packages].sort()) {
  const folder = path.join(here, "node_modules", name);
  const { version, license } = JSON.parse(await readFile(path.join(folder, "package.json"), "utf8"));
  const file = (await readdir(folder)).find((entry) => /^licen[cs]e/i.test(entry));
  if (!file) throw new Error(`${name} has no licence file`);
  const text = (await readFile(path.join(folder, file), "utf8")).trim();
  parts.push(`${"-".repeat(72)}\n${name} ${version} (${license})\n\n${text}\n`);
}
await writeFile(path.join(out, "bundles.licences.txt"), parts.join("\n"));
