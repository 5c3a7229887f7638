// Checks the texts: the same keys and placeholders in nl, fr and en; every key used in the code exists; no key unused;
// no empty text. Keys put together at run time (`t(`end.${why}`)`, `code("cause", …)`) count their whole group as used.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const root = new URL("..", import.meta.url).pathname;
const languages = ["nl", "fr", "en"];
const problems = [];

function flatten(node, prefix, out) {
  for (const [key, value] of Object.entries(node)) {
    const path = prefix === "" ? key : `${prefix}.${key}`;
    if (typeof value === "string") out.set(path, value);
    else flatten(value, path, out);
  }
  return out;
}

const texts = new Map(
  languages.map((language) => [
    language,
    flatten(JSON.parse(readFileSync(join(root, "src/i18n", `${language}.json`), "utf8")), "", new Map()),
  ]),
);

const all = new Set(languages.flatMap((language) => [...texts.get(language).keys()]));
const holes = (text) =>
  [...text.matchAll(/\{\{(\w+)\}\}/g)]
    .map((match) => match[1])
    .sort()
    .join(",");
for (const key of all) {
  const shapes = new Set();
  for (const language of languages) {
    const text = texts.get(language).get(key);
    if (text === undefined) problems.push(`${language}: ${key} is missing`);
    else if (text.trim() === "") problems.push(`${language}: ${key} is empty`);
    else shapes.add(holes(text));
  }
  if (shapes.size > 1) problems.push(`${key}: placeholders differ: ${[...shapes].join(" / ")}`);
}

function sources(folder) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return sources(path);
    return /\.tsx?$/.test(entry.name) && !/\.test\.tsx?$/.test(entry.name) ? [path] : [];
  });
}

const used = new Set();
const groups = new Set();
for (const path of sources(join(root, "src"))) {
  const code = readFileSync(path, "utf8");
  for (const match of code.matchAll(/\bt\(\s*"([^"]+)"/g)) used.add(match[1]);
  for (const match of code.matchAll(/\bt\(\s*`([a-zA-Z]+(?:\.[a-zA-Z]+)*)\.\$\{/g)) groups.add(match[1]);
  for (const match of code.matchAll(/\bcode\(\s*"([a-zA-Z]+)"/g)) groups.add(match[1]);
  for (const match of code.matchAll(/(?:\?|:|=)\s*t\(\s*"([^"]+)"/g)) used.add(match[1]);
}
for (const key of used) if (!all.has(key)) problems.push(`the code uses ${key}, which has no text`);
for (const group of groups) {
  if (![...all].some((key) => key.startsWith(`${group}.`)))
    problems.push(`the code uses the group ${group}, which has no texts`);
}
for (const key of all) {
  const inGroup = [...groups].some((group) => key.startsWith(`${group}.`));
  if (!used.has(key) && !inGroup) problems.push(`${key} is not used`);
}

if (problems.length > 0) {
  process.stderr.write(`${problems.join("\n")}\n${problems.length} problems with the texts\n`);
  process.exit(1);
}
process.stdout.write(`texts: ${all.size} keys in ${languages.join(", ")}, all alike and used\n`);
