// Pictures of the console for the README:  node e2e/screenshots.mjs DIRECTORY [layout]
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import {
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

const out = process.argv[2] ?? "e2e/out";
const layout = Number(process.argv[3] ?? 9);
mkdirSync(out, { recursive: true });
const browser = await launch();
try {
  const [width, height] = (process.env.BELFRY_SIZE ?? "1600x900").split("x").map(Number);
  const { page, complaints } = await newPage(browser, { width, height });
  const shot = async (name) => {
    await page.screenshot({ path: join(out, `${name}.png`) });
    process.stdout.write(`${name}.png\n`);
  };
  await page.goto(env.url);
  await page.locator("input[name=username]").waitFor();
  await shot("login");
  await logIn(page);
  await setLanguage(page, process.env.BELFRY_LANGUAGE ?? "en");
  const list = (await page.locator(`nav a[href^="/wall"]`).count()) > 0 ? await cameras(page) : [];
  // BELFRY_CAMERAS=code,code shows these, in this order: the pictures of the README hold only the simulated town.
  const wanted = (process.env.BELFRY_CAMERAS ?? "").split(",").filter(Boolean);
  const known = showable(list);
  const good = wanted.length === 0 ? known : known.filter((camera) => wanted.includes(camera.code));
  const others =
    wanted.length > 0
      ? []
      : list.filter((camera) => !good.includes(camera) && camera.may.live && camera.state === "live");
  if (list.length > 0) {
    await fillWall(page, layout, [...good.slice(0, Math.max(1, layout - others.length)), ...others].slice(0, layout));
    await until(page, "a live tile", () => document.querySelector(".tile[data-fresh=live]") !== null);
    await page.waitForTimeout(3000);
    await shot("wall");
  }
  if (await page.locator('nav a[href^="/playback"]').count()) {
    await openPage(page, "/playback");
    await page.locator("[role=treegrid] [role=row][aria-level='2']").first().click();
    await giveReason(page);
    await page
      .locator("video")
      .evaluate(
        (video) => new Promise((done) => (video.readyState >= 3 ? done() : video.addEventListener("playing", done))),
      );
    // The last minutes large enough to see single reads.
    await page.keyboard.press("+");
    await page.keyboard.press("+");
    await page.waitForTimeout(2500);
    await shot("playback");
  }
  for (const name of ["reads", "findings", "counts", "cameras", "partners", "users", "audit", "health"]) {
    if ((await page.locator(`nav a[href^="/${name}"]`).count()) === 0) continue;
    await openPage(page, `/${name}`);
    await page.waitForTimeout(1200);
    if (name === "cameras" && (await page.locator("tbody button").count()) > 0) {
      await page.locator("tbody button").first().click();
      await page.waitForTimeout(500);
    }
    await shot(name);
  }
  if (list.length > 0) await openPage(page, "/wall");
  await page.keyboard.press("?");
  await page.locator("[role=dialog]").waitFor();
  await shot("keys");
  for (const text of complaints) process.stderr.write(`console: ${text}\n`);
} finally {
  await browser.close();
}
