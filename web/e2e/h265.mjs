// H.265 in a browser that does not play it (Debian's Chromium), against a running Belfry:  node e2e/h265.mjs
// Needs two cameras whose main stream is H.265: one with an H.264 sub-stream, one without. Exit status 1 when a step fails,
// 3 when the server has no such cameras.
import { mkdirSync } from "node:fs";
import { cameras, fillWall, giveReason, launch, logIn, newPage, openPage, setLanguage, until } from "./lib.mjs";

const browser = await launch();
const say = (text) => process.stdout.write(`${text}\n`);
mkdirSync("e2e/out", { recursive: true });
const { page } = await newPage(browser);
let status = 1;
try {
  await logIn(page);
  if (await page.evaluate(() => MediaSource.isTypeSupported('video/mp4; codecs="hvc1.1.6.L93.B0"'))) {
    throw new Error("this browser plays H.265: the check says nothing");
  }
  await setLanguage(page, "en");
  const list = (await cameras(page)).filter(
    (camera) => camera.may.live && camera.streams.find((stream) => stream.use === "main")?.codec === "h265",
  );
  const withSub = list.find((camera) => camera.streams.some((stream) => stream.use === "sub"));
  const without = list.find((camera) => camera.streams.every((stream) => stream.use !== "sub"));
  if (withSub === undefined || without === undefined) {
    say("did not run: no camera with H.265 and an H.264 sub-stream, or none without");
    status = 3;
  } else {
    // One large position asks for the main stream.
    await fillWall(page, 1, [withSub]);
    await page.locator(".tile[data-fresh=live]").waitFor({ timeout: 30_000 });
    await page.locator(".tile", { hasText: "sub-stream" }).waitFor();
    const size = await page.locator(".tile video").evaluate((video) => `${video.videoWidth}×${video.videoHeight}`);
    await page.screenshot({ path: "e2e/out/h265-sub.png" });
    say(`ok    a large position falls back to the sub-stream by itself (${size})`);

    await fillWall(page, 4, [withSub, without]);
    await page.locator(".tile[data-phase=codec]").waitFor({ timeout: 10_000 });
    const words = await page.locator(".tile[data-phase=codec]").innerText();
    if (!/H\.265/.test(words) || !/Recording goes on/.test(words)) throw new Error(`unclear words: ${words}`);
    await page.screenshot({ path: "e2e/out/h265-words.png" });
    say("ok    without one the tile says so, and that recording goes on");

    await openPage(page, "/playback");
    await page.locator("input[type=search]").fill(withSub.code);
    await page.keyboard.press("Enter");
    await giveReason(page);
    await until(page, "words in playback", () => /H\.265/.test(document.querySelector("main")?.innerText ?? ""));
    await page.screenshot({ path: "e2e/out/h265-playback.png" });
    say("ok    playback says so instead of failing");
    status = 0;
  }
} catch (error) {
  await page.screenshot({ path: "e2e/out/failed-h265.png" }).catch(() => undefined);
  say(`FAIL  ${error.message}`);
} finally {
  await browser.close();
}
process.exit(status);
