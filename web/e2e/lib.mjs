// Shared steps of the browser checks. Everything that differs between machines comes from the environment:
//   BELFRY_URL (http://127.0.0.1:8080)  BELFRY_USER  BELFRY_PASSWORD  BELFRY_TOTP  CHROMIUM (/usr/bin/chromium)
import { createHash, createHmac } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import AxeBuilder from "@axe-core/playwright";
import { chromium } from "playwright-core";

export const env = {
  url: process.env.BELFRY_URL ?? "http://127.0.0.1:8080",
  user: process.env.BELFRY_USER ?? "demo",
  password: process.env.BELFRY_PASSWORD ?? "demo",
  /** Secret of the demo's second factor, hexadecimal: totp.txt in the demo's folder. */
  totp: process.env.BELFRY_TOTP ?? "",
  chromium: process.env.CHROMIUM ?? "/usr/bin/chromium",
};
export const WHY = "Ongeval op de kruising, controle van de beelden";

const TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"];

/** Accessibility of what is on screen (WCAG 2.2 AA). */
export async function axe(page, name) {
  const { violations } = await new AxeBuilder({ page }).withTags(TAGS).analyze();
  const words = violations.flatMap((one) => one.nodes.map((node) => `${one.id}: ${node.target.join(" ")}`));
  if (words.length > 0) throw new Error(`axe on ${name}: ${words.slice(0, 6).join("; ")}`);
}

export async function launch() {
  const flags = [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
  ];
  if (process.getuid?.() === 0) flags.push("--no-sandbox");
  return chromium.launch({ executablePath: env.chromium, headless: true, args: flags });
}

/** A page that keeps what the console complained about. */
export async function newPage(browser, { width = 1600, height = 900, locale = "nl-BE" } = {}) {
  const context = await browser.newContext({ viewport: { width, height }, locale, ignoreHTTPSErrors: true });
  const page = await context.newPage();
  const complaints = [];
  const foreign = [];
  page.on("console", (message) => {
    if (message.type() === "error") complaints.push(`${message.text()} (${message.location().url})`);
  });
  page.on("pageerror", (error) => complaints.push(String(error)));
  const home = new URL(env.url).host;
  page.on("request", (request) => {
    const at = new URL(request.url());
    if (/^(https?|wss?):$/.test(at.protocol) && at.host !== home) foreign.push(request.url());
  });
  return { page, complaints, foreign };
}

export async function logIn(page) {
  await page.goto(`${env.url}/`);
  await page.locator("input[name=username]").fill(env.user);
  await page.locator("input[name=password]").fill(env.password);
  await page.locator("button[type=submit]").click();
  const inside = page.locator("main#main");
  const asked = page.locator("main#second-factor");
  await inside.or(asked).first().waitFor({ timeout: 15_000 });
  if (await asked.isVisible()) {
    const code = asked.locator("input[name=code]");
    await code.waitFor();
    await code.fill(await nextCode(env.user));
    await asked.locator("button[type=submit]").click();
  }
  await inside.waitFor({ timeout: 15_000 });
}

/** Answers the dialog that asks for a fresh second factor. */
export async function stepUp(page) {
  const code = page.locator("[role=dialog] input[name=code]");
  await code.waitFor();
  await code.fill(await nextCode(env.user));
  await page.locator("[role=dialog] button[type=submit]").click();
  await code.waitFor({ state: "detached" });
}

/** A code of RFC 6238 that this person did not use yet: each works once. Waits where the next one has not come. */
const usedAt = join(
  tmpdir(),
  `belfry-e2e-steps-${createHash("sha256").update(env.totp).digest("hex").slice(0, 12)}.json`,
);
export async function nextCode(user) {
  for (;;) {
    const now = Math.floor(Date.now() / 30_000);
    // In a file: several scripts run one after the other against one demo.
    const used = existsSync(usedAt) ? JSON.parse(readFileSync(usedAt, "utf8")) : {};
    const step = Math.max(now, (used[user] ?? -1) + 1);
    if (step <= now + 1) {
      writeFileSync(usedAt, JSON.stringify({ ...used, [user]: step }));
      return totp(step);
    }
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
}

function totp(step) {
  const counter = Buffer.alloc(8);
  counter.writeBigInt64BE(BigInt(step));
  const tag = createHmac("sha1", Buffer.from(env.totp, "hex")).update(counter).digest();
  const number = (tag.readUInt32BE(tag[19] & 15) & 0x7fffffff) % 1_000_000;
  return String(number).padStart(6, "0");
}

/** Somebody's own browser context, logged in, in English. */
export async function desk(browser, user) {
  env.user = user;
  const { page, complaints } = await newPage(browser);
  await logIn(page);
  await setLanguage(page, "en");
  return { page, complaints };
}

/** Answers from inside the page, with its session. */
export function api(page, method, path, body) {
  return page.evaluate(
    async ([verb, where, what]) => {
      const session = await (await fetch("/api/v1/session")).json();
      const answer = await fetch(`/api/v1${where}`, {
        method: verb,
        headers: { "content-type": "application/json", "x-csrf-token": session.csrf_token },
        ...(what === undefined ? {} : { body: JSON.stringify(what) }),
      });
      const text = await answer.text();
      return { status: answer.status, body: text === "" ? null : JSON.parse(text) };
    },
    [method, path, body],
  );
}

export async function cameras(page) {
  const { body } = await api(page, "GET", "/cameras?limit=500");
  // Somebody without the right to see cameras has none.
  return body.items ?? [];
}

/** Own or shared cameras that send an H.264 picture now. */
export function showable(list) {
  return list.filter(
    (camera) =>
      camera.state === "live" &&
      camera.partner === null &&
      camera.may.live &&
      camera.health?.phase === "live" &&
      camera.streams.every((stream) => stream.codec !== "h265"),
  );
}

/** Opens a page of the console by its link. */
export async function openPage(page, path) {
  await page.locator(`nav a[href^="${path}"]`).click();
  const link = page.locator(`nav a[href^="${path}"][aria-current=page]`);
  await link.waitFor();
  // A page that is still being fetched leaves the old one standing: the title tells.
  await page.locator("main h1", { hasText: (await link.innerText()).trim() }).waitFor({ state: "attached" });
}

/** Clears the wall, chooses a layout and calls cameras up by keyboard. */
export async function fillWall(page, layout, list) {
  await openPage(page, "/wall");
  await page.locator("[role=treegrid]").waitFor();
  const button = page.locator("[role=group] button[aria-pressed]").nth([1, 4, 9, 16].indexOf(layout));
  await button.click();
  for (;;) {
    const clear = page.locator(".tile button svg.lucide-x");
    if ((await clear.count()) === 0) break;
    await clear.first().click();
  }
  await page.locator("button.tile").first().click();
  for (const camera of list) {
    if (camera.call_up !== null) await page.keyboard.type(String(camera.call_up));
    else {
      await page.keyboard.press("/");
      await page.keyboard.type(camera.code);
    }
    await page.keyboard.press("Enter");
    await giveReason(page, 400);
  }
}

/** Answers the purpose dialog when it comes up within the time. */
export async function giveReason(page, timeout = 1500) {
  const text = page.locator("[role=dialog] textarea");
  try {
    await text.waitFor({ state: "visible", timeout });
  } catch {
    return false;
  }
  await text.fill(WHY);
  await page.locator("[role=dialog] button[type=submit]").click();
  await text.waitFor({ state: "detached" });
  return true;
}

export async function setLanguage(page, language) {
  const { status } = await api(page, "PATCH", "/session", { language });
  if (status !== 200) throw new Error(`language: ${status}`);
  await page.reload();
  await page.locator(`html[lang=${language}]`).waitFor({ state: "attached" });
  await page.locator("main#main").waitFor();
}

/** Waits until a condition inside the page holds; the name says what was missing otherwise. */
export async function until(page, name, condition, argument, timeout = 20_000) {
  try {
    return await page.waitForFunction(condition, argument, { timeout, polling: 100 });
  } catch (error) {
    throw new Error(`not within ${timeout} ms: ${name} (${error.message.split("\n")[0]})`);
  }
}

export function percentile(values, share) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted.length === 0 ? null : sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
}
