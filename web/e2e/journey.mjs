// The operator's day in a real browser against a running Belfry:  node e2e/journey.mjs
// Steps are told one by one; the first that fails ends the run with a picture in e2e/out and exit status 1.
// BELFRY_SKIP=reads,findings leaves steps out whose data the server does not have.
import { mkdirSync } from "node:fs";
import {
  api,
  axe as axeOf,
  cameras,
  env,
  fillWall,
  giveReason,
  launch,
  logIn,
  newPage,
  openPage,
  setLanguage,
  showable,
  until,
} from "./lib.mjs";

const skipped = new Set((process.env.BELFRY_SKIP ?? "").split(",").filter(Boolean));
mkdirSync("e2e/out", { recursive: true });
const browser = await launch();
const { page, complaints, foreign } = await newPage(browser);
const axe = (name) => axeOf(page, name);
let failed = 0;

async function step(name, run) {
  if (skipped.has(name.split(":")[0])) {
    process.stdout.write(`skip  ${name}\n`);
    return;
  }
  const begun = Date.now();
  try {
    const note = await run();
    process.stdout.write(`ok    ${name}${note ? ` (${note})` : ""}  ${Date.now() - begun} ms\n`);
  } catch (error) {
    failed += 1;
    const file = `e2e/out/failed-${name.replace(/\W+/g, "-")}.png`;
    await page.screenshot({ path: file }).catch(() => undefined);
    process.stdout.write(`FAIL  ${name}: ${error.message}\n      picture: ${file}\n`);
  }
}

/** A number for the pixels of a video, from a canvas of 64×36. */
const pixels = (video) => {
  const canvas = document.createElement("canvas");
  canvas.width = 64;
  canvas.height = 36;
  const context = canvas.getContext("2d");
  context.drawImage(video, 0, 0, 64, 36);
  return [...context.getImageData(0, 0, 64, 36).data].reduce(
    (sum, value, index) => (sum * 31 + value + index) % 2147483647,
    7,
  );
};

/** Waits until a camera's main stream has this many seconds of footage, in the newest span without a gap. */
async function recorded(camera, seconds) {
  const main = camera.streams.find((stream) => stream.use === "main") ?? camera.streams[0];
  let seen = 0;
  for (const end = Date.now() + 120_000; Date.now() < end; await page.waitForTimeout(1000)) {
    const [from, to] = [new Date(Date.now() - 600_000).toISOString(), new Date(Date.now() + 60_000).toISOString()];
    const { status, body } = await api(
      page,
      "GET",
      `/cameras/${camera.id}/timeline?stream=${main.id}&from=${from}&to=${to}`,
    );
    if (status !== 200) throw new Error(`timeline: ${status} ${JSON.stringify(body)}`);
    const spans = body.segments.map((span) => [Date.parse(span.from), Date.parse(span.to)]).sort((a, b) => b[0] - a[0]);
    const newest = spans[0]?.[1] ?? 0;
    let begin = spans[0]?.[0] ?? 0;
    for (const span of spans) if (span[1] >= begin - 250) begin = Math.min(begin, span[0]);
    seen = (newest - begin) / 1000;
    if (seen >= seconds) return;
  }
  throw new Error(`${camera.code} has only ${seen} s of footage after two minutes`);
}

async function moving(video, name) {
  await until(page, `${name} plays`, (one) => one.readyState >= 3 && one.currentTime > 0, video);
  // A seek or a new ticket may still be under way: what counts is that it runs within some seconds.
  let trouble = "";
  for (let round = 0; round < 5; round += 1) {
    const first = { at: await video.evaluate((one) => one.currentTime), pixels: await video.evaluate(pixels) };
    await page.waitForTimeout(1500);
    const second = { at: await video.evaluate((one) => one.currentTime), pixels: await video.evaluate(pixels) };
    if (second.at <= first.at + 0.5) trouble = `${name} stands still: ${first.at} → ${second.at}`;
    else if (second.pixels === first.pixels) trouble = `${name}: the pixels don't change`;
    else return `${(second.at - first.at).toFixed(2)} s in 1.5 s`;
  }
  throw new Error(trouble);
}

const has = (path) => page.locator(`nav a[href^="${path}"]`).count();

try {
  await step("refusal: wrong password", async () => {
    await page.goto(env.url);
    await page.locator("input[name=username]").fill(env.user);
    await page.locator("input[name=password]").fill("wrong");
    await page.locator("button[type=submit]").click();
    await page.locator("[role=alert]").waitFor();
    await axe("log-in");
  });
  await step("login", async () => logIn(page));
  const list = showable(await cameras(page));
  await step("live: a tile moves", async () => {
    if (list.length === 0) throw new Error("no camera to show");
    await fillWall(page, 4, list.slice(0, 4));
    const note = await moving(await page.locator(".tile video").first().elementHandle(), "the tile");
    await until(page, "capture age shown", () =>
      /\d s$/.test(document.querySelector("[data-age=live]")?.textContent ?? ""),
    );
    await axe("wall");
    return note;
  });
  await step("live: keyboard moves, maximises and comes back", async () => {
    await page.keyboard.press("ArrowUp");
    await page.keyboard.press("ArrowLeft");
    await page.keyboard.press("Enter");
    await until(
      page,
      "one tile",
      () => [...document.querySelectorAll(".tile")].filter((tile) => tile.checkVisibility()).length === 1,
    );
    await moving(await page.locator(".tile:visible video").first().elementHandle(), "the maximised tile");
    await page.keyboard.press("Escape");
    await until(
      page,
      "four tiles",
      () => [...document.querySelectorAll(".tile")].filter((tile) => tile.checkVisibility()).length === 4,
    );
  });
  await step("playback: plays and seeks", async () => {
    const camera = list.find((one) => one.may.playback);
    // Going back needs footage to go back into: a system that has just started has none yet.
    await recorded(camera, 40);
    await openPage(page, "/playback");
    await page.locator("input[type=search]").fill(camera.code);
    await page.keyboard.press("Enter");
    await giveReason(page, 3000);
    const video = await page.locator("video").elementHandle();
    const note = await moving(video, "playback");
    const at = async () => Number(await page.locator("canvas[role=slider]").getAttribute("aria-valuenow"));
    await page.keyboard.press("End");
    await until(
      page,
      "the newest footage plays",
      (element) => !element.seeking && element.readyState >= 3 && !element.paused,
      video,
    );
    const before = await at();
    await page.keyboard.press("r");
    await until(page, "15 s back plays", (element) => !element.seeking && element.readyState >= 3, video);
    const after = await at();
    await moving(video, "playback after going back");
    if (!(after < before - 5000 && after > before - 15_500)) {
      throw new Error(`15 s back went from ${before} to ${after} (ms)`);
    }
    await axe("playback");
    return note;
  });
  await step("reads: the list shows a crop", async () => {
    await openPage(page, "/reads");
    await until(page, "a crop picture", () =>
      [...document.querySelectorAll("tbody img")].some((image) => image.complete && image.naturalWidth > 0),
    );
    await axe("reads");
    return `${await page.locator("tbody tr").count()} reads`;
  });
  await step("findings: a finding can be judged", async () => {
    await openPage(page, "/findings");
    await page.locator("[data-finding]").waitFor();
    await until(
      page,
      "both pictures",
      () =>
        [...document.querySelectorAll("[data-finding] img")].filter((image) => image.complete && image.naturalWidth > 0)
          .length >= 2,
    );
    await page.keyboard.press("2");
    await page.locator("[role=dialog]").waitFor();
    await axe("reject dialog");
    await page.keyboard.press("Escape");
    await page.locator("[role=dialog]").waitFor({ state: "detached" });
    await axe("findings");
  });
  for (const name of ["cameras", "partners", "users", "audit", "health"]) {
    if ((await has(`/${name}`)) === 0) continue;
    await step(`${name}: opens`, async () => {
      await openPage(page, `/${name}`);
      await page.locator("main table, main ul").first().waitFor();
      await page.waitForTimeout(400);
      await axe(name);
    });
  }
  for (const language of ["fr", "en", "nl"]) {
    await step(`language: ${language}`, async () => {
      await setLanguage(page, language);
      await openPage(page, "/wall");
      await axe(`wall in ${language}`);
      const word = { nl: "Vaststellingen", fr: "Constats", en: "Findings" }[language];
      if ((await has("/findings")) > 0) await page.locator("nav", { hasText: word }).waitFor();
    });
  }
  await step("session: re-log-in keeps the tiles", async () => {
    await fillWall(page, 1, list.slice(0, 1));
    await page.locator(".tile[data-fresh=live]").waitFor();
    await api(page, "POST", "/logout");
    await page.locator("[role=dialog] input[name=password]").waitFor({ timeout: 40_000 });
    await axe("re-log-in");
    if ((await page.locator(".tile video").count()) !== 1) throw new Error("the tile is gone");
    await page.locator("[role=dialog] input[name=username]").fill(env.user);
    await page.locator("[role=dialog] input[name=password]").fill(env.password);
    await page.locator("[role=dialog] button[type=submit]").click();
    await page.locator("[role=dialog]").waitFor({ state: "detached" });
    await page.locator(".tile[data-fresh=live]").waitFor({ timeout: 30_000 });
  });
  await step("network: nothing but the own server was asked", async () => {
    if (foreign.length > 0) throw new Error(foreign.slice(0, 3).join(" "));
  });
  await step("console: no complaint", async () => {
    const real = complaints.filter((text) => !/status of (401|403|404|409|503)/.test(text));
    if (real.length > 0) throw new Error(real.slice(0, 3).join(" | "));
  });
} finally {
  await browser.close();
}
process.stdout.write(failed === 0 ? "journey: all steps passed\n" : `journey: ${failed} steps failed\n`);
process.exit(failed === 0 ? 0 : 1);
