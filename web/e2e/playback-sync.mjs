// Looking back at several cameras, and scrubbing, in a real browser:  node e2e/playback-sync.mjs
// Measures how far the cameras are from one playhead (position of each <video> on the wall clock, by the clock of its ticket).
// BELFRY_CAMERAS (2) cameras together; BELFRY_SECONDS (8) seconds at single speed.
import { execFile } from "node:child_process";
import { mkdirSync } from "node:fs";
import { promisify } from "node:util";
import {
  api,
  axe,
  cameras,
  env,
  giveReason,
  launch,
  logIn,
  newPage,
  openPage,
  percentile,
  setLanguage,
  showable,
  until,
} from "./lib.mjs";

const together = Number(process.env.BELFRY_CAMERAS ?? 2);
const seconds = Number(process.env.BELFRY_SECONDS ?? 8);
const DRIFT_MAX_MS = 100;
mkdirSync("e2e/out", { recursive: true });
const browser = await launch();
const { page, complaints } = await newPage(browser);
let failed = 0;

async function step(name, run) {
  const begun = Date.now();
  try {
    const note = await run();
    process.stdout.write(`ok    ${name}${note ? ` (${note})` : ""}  ${Date.now() - begun} ms\n`);
  } catch (error) {
    failed += 1;
    const file = `e2e/out/failed-sync-${name.replace(/\W+/g, "-")}.png`;
    await page.screenshot({ path: file }).catch(() => undefined);
    process.stdout.write(`FAIL  ${name}: ${error.message}\n      picture: ${file}\n`);
  }
}

/** Wall time on each screen and on the playhead, ms, all read in one turn of the page. */
const walls = () =>
  page.evaluate(() => {
    const head = document.querySelector("[data-group-wall]");
    const videos = [...document.querySelectorAll("[data-tile]")].map((tile) => {
      const video = tile.querySelector("video");
      const entries = JSON.parse(video.dataset.clock ?? "[]");
      const entry = entries.filter((one) => one.mediaS <= video.currentTime).at(-1) ?? entries[0];
      const shows = tile.dataset.tile === "playing" && entry !== undefined && !video.seeking && video.readyState >= 2;
      return shows ? entry.wallMs + (video.currentTime - entry.mediaS) * 1000 : null;
    });
    return {
      head: Number(head?.dataset.groupWall),
      videos,
      paused: [...document.querySelectorAll("[data-tile] video")].map((one) => one.paused),
    };
  });

/** The same, once every camera stands still with its picture. */
async function standing() {
  let before = null;
  for (const end = Date.now() + 10_000; Date.now() < end; await page.waitForTimeout(150)) {
    const now = await walls();
    const text = JSON.stringify(now.videos);
    if (now.paused.every(Boolean) && !now.videos.includes(null) && text === before) return now;
    before = text;
  }
  throw new Error(`the cameras don't come to rest: ${before}`);
}

/** Looks some times a second and tells the spread between the cameras, ms. */
async function spread(forMs) {
  const spreads = [];
  let first = null;
  let last = null;
  for (const end = Date.now() + forMs; Date.now() < end; await page.waitForTimeout(120)) {
    const { videos } = await walls();
    if (videos.some((one) => one === null)) continue;
    first ??= { at: performance.now(), wall: videos[0] };
    last = { at: performance.now(), wall: videos[0] };
    spreads.push(Math.max(...videos) - Math.min(...videos));
  }
  if (spreads.length < 5) throw new Error(`only ${spreads.length} moments with every picture`);
  const speed = (last.wall - first.wall) / (last.at - first.at);
  return { p50: percentile(spreads, 0.5), p95: percentile(spreads, 0.95), speed, count: spreads.length };
}

/** The first of three looks that is good: a machine that stands still for a second is no player out of step. */
async function settled(look) {
  for (let left = 2; ; left -= 1) {
    try {
      return await look();
    } catch (error) {
      if (left === 0) throw error;
      process.stdout.write(`      once more: ${error.message}\n`);
    }
  }
}

const playing = () =>
  until(
    page,
    "every camera plays",
    (count) => document.querySelectorAll("[data-tile=playing] video").length === count,
    together,
    30_000,
  );
const tell = ({ p50, p95, speed, count }) =>
  `spread p50 ${p50.toFixed(0)} ms, p95 ${p95.toFixed(0)} ms, ${speed.toFixed(2)}× over ${count} looks`;

try {
  await logIn(page);
  await setLanguage(page, "en");
  const list = showable(await cameras(page)).filter((one) => one.may.playback);
  const chosen = list.slice(0, together);
  if (chosen.length < together) throw new Error(`only ${chosen.length} cameras to look back at`);
  await openPage(page, "/playback");
  await step("several cameras are chosen by keyboard", async () => {
    await page.locator("aside input[type=checkbox]").check();
    for (const camera of chosen) {
      await page.locator("input[type=search]").fill(camera.code);
      await page.locator("input[type=search]").press("Enter");
      await giveReason(page, 2500);
    }
    await playing();
    await page.locator("canvas[role=slider]").focus();
    await axe(page, "several cameras");
  });
  await step("they play in step", async () => {
    await until(page, "the playhead moves", () => true);
    await page.waitForTimeout(1500);
    return tell(
      await settled(async () => {
        const found = await spread(seconds * 1000);
        if (found.p95 > DRIFT_MAX_MS) throw new Error(tell(found));
        if (Math.abs(found.speed - 1) > 0.1) throw new Error(`not at single speed: ${tell(found)}`);
        return found;
      }),
    );
  });
  for (const rate of [2, 0.5]) {
    await step(`they play in step at ${rate}×`, async () => {
      // From a little way back: there is only as much as has been recorded.
      await page.keyboard.press("r");
      await page.locator("select.field").first().selectOption(String(rate));
      await page.locator("canvas[role=slider]").focus();
      await playing();
      await page.waitForTimeout(1200);
      return tell(
        await settled(async () => {
          const found = await spread(3000);
          if (found.p95 > DRIFT_MAX_MS * Math.max(1, rate)) throw new Error(tell(found));
          if (Math.abs(found.speed / rate - 1) > 0.25) throw new Error(`not at ${rate}×: ${tell(found)}`);
          return found;
        }),
      );
    });
  }
  await step("a step moves every camera by a frame", async () => {
    await page.keyboard.press("k");
    const before = await standing();
    for (let n = 0; n < 5; n += 1) await page.keyboard.press(".");
    const after = await standing();
    const moved = after.videos.map((one, index) => one - before.videos[index]);
    if (moved.some((ms) => !(ms > 50 && ms < 1100)) || Math.max(...moved) - Math.min(...moved) > 50) {
      throw new Error(`five frames moved them by ${moved.join(", ")} ms`);
    }
    return `five frames: ${moved.map((ms) => ms.toFixed(0)).join(", ")} ms`;
  });
  await step("the pointer on the timeline shows a picture", async () => {
    const box = await page.locator("canvas[role=slider]").boundingBox();
    const view = await page
      .locator("canvas[role=slider]")
      .evaluate((one) => [Number(one.ariaValueMin), Number(one.ariaValueMax), Number(one.ariaValueNow)]);
    const x = box.x + ((view[2] - 4000 - view[0]) / (view[1] - view[0])) * box.width;
    await page.mouse.move(x, box.y + 40);
    await page.locator("figure[data-scrub]").waitFor({ timeout: 15_000 });
    const found = await page.locator("figure[data-scrub]").evaluate((figure) => {
      const canvas = figure.querySelector("canvas");
      const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
      const values = new Set();
      for (let i = 0; i < data.length; i += 4 * 97) values.add(data[i]);
      return { at: Number(figure.dataset.scrub), width: canvas.width, values: values.size };
    });
    if (found.values < 4) throw new Error(`the picture is empty: ${JSON.stringify(found)}`);
    const off = Math.abs(found.at - (view[2] - 4000));
    if (off > 6000) throw new Error(`a picture ${off} ms from the pointer`);
    await axe(page, "scrubbing");
    await page.mouse.move(box.x + 10, 300);
    return `${found.width} pixels wide, ${Math.round(off)} ms from the pointer`;
  });
  await step("the keyboard scrubs too", async () => {
    await page.locator("canvas[role=slider]").focus();
    await page.keyboard.press("PageUp");
    await page.locator("figure[data-scrub]").waitFor({ timeout: 15_000 });
    await page.keyboard.press("Escape");
    await page.locator("figure").waitFor({ state: "detached" });
  });
  await step("one camera starts at the frame asked for", async () => {
    const camera = chosen[0];
    const stream = camera.streams.find((one) => one.use === "main") ?? camera.streams[0];
    const from = new Date(Date.now() - 20_000).toISOString();
    const { status, body } = await api(page, "POST", "/playback-tickets", {
      stream_id: stream.id,
      from,
      to: new Date(Date.now() - 10_000).toISOString(),
      purpose: { code: "INTERVENTIE", justification: "controle van het eerste beeld", case_ref: null },
    });
    if (status !== 200) throw new Error(`ticket: ${status} ${JSON.stringify(body)}`);
    const shown = await page.evaluate(async (ticket) => {
      const video = document.createElement("video");
      video.muted = true;
      // Where it is painted: a frame that is not shown is not told of.
      video.style.cssText = "position: fixed; top: 0; left: 0; width: 320px; z-index: 99";
      video.src = ticket.url;
      document.body.append(video);
      let mediaTime = -1;
      const watch = () =>
        video.requestVideoFrameCallback((_now, meta) => {
          mediaTime = meta.mediaTime;
          watch();
        });
      await new Promise((done) => (video.onloadedmetadata = done));
      video.currentTime = ticket.start_offset_us / 1e6 + 0.002;
      watch();
      await new Promise((done) => (video.onseeked = done));
      // The very first frame may have been painted before the seek: what counts is what stands there in the end.
      for (let n = 0; n < 40 && Math.abs(mediaTime * 1e6 - ticket.start_offset_us) > 3000; n += 1) {
        await new Promise((done) => setTimeout(done, 100));
      }
      // An element lets go of its source before the server is told to end it, or the browser reports a torn answer.
      video.removeAttribute("src");
      video.load();
      video.remove();
      return mediaTime;
    }, body);
    await api(page, "DELETE", `/playback/${body.playback_id}`);
    if (shown < 0) throw new Error("no frame was shown");
    const off = shown * 1e6 - body.start_offset_us;
    if (Math.abs(off) > 3000) throw new Error(`the first frame is ${off.toFixed(0)} µs from the wish`);
    const [entry] = body.clock;
    const wall = Date.parse(entry.at) + (body.start_offset_us - entry.media_us) / 1000;
    // The clock of the file is right to 200 ms; the start is counted from the arrival of its own fragment.
    if (wall < Date.parse(from) - 200 || wall > Date.parse(from) + 250) {
      throw new Error(`it shows ${wall - Date.parse(from)} ms from the wish`);
    }
    return `${(wall - Date.parse(from)).toFixed(0)} ms after the wish`;
  });
  await step("ffmpeg plays the playlist and the preview with the session's cookie", async () => {
    const camera = chosen[0];
    const stream = camera.streams.find((one) => one.use === "main") ?? camera.streams[0];
    const wish = {
      stream_id: stream.id,
      from: new Date(Date.now() - 25_000).toISOString(),
      to: new Date(Date.now() - 8_000).toISOString(),
      purpose: { code: "INTERVENTIE", justification: "controle van de afspeellijst", case_ref: null },
    };
    const { status, body } = await api(page, "POST", "/playback-tickets", wish);
    if (status !== 200) throw new Error(`ticket: ${status} ${JSON.stringify(body)}`);
    const preview = (await api(page, "POST", "/playback-tickets", { ...wish, rendition: "preview" })).body;
    const pictures = (await api(page, "GET", `/playback/${preview.playback_id}/pictures`)).body.at_ms.length;
    const cookies = (await page.context().cookies()).map((one) => `${one.name}=${one.value}`).join("; ");
    const packets = async (path) => {
      const args = ["-v", "error", "-headers", `Cookie: ${cookies}\r\n`, "-count_packets", "-select_streams", "v:0"];
      args.push("-show_entries", "stream=nb_read_packets", "-of", "csv=p=0", `${env.url}${path}`);
      const { stdout, stderr } = await promisify(execFile)("ffprobe", args, { timeout: 30_000 });
      if (stderr !== "") throw new Error(`${path}: ${stderr.split("\n")[0]}`);
      return Number.parseInt(
        stdout.split("\n").find((line) => line.trim() !== ""),
        10,
      );
    };
    try {
      const [file, list] = [await packets(body.url), await packets(body.playlist_url)];
      const [film, shots] = [await packets(preview.url), await packets(preview.playlist_url)];
      if (!(file > 100 && list === file)) throw new Error(`${list} frames by the playlist, ${file} in the file`);
      if (!(pictures > 5 && film === pictures && shots === pictures)) {
        throw new Error(`${pictures} pictures, ${film} in the film, ${shots} by the playlist`);
      }
      return `${file} frames both ways, ${pictures} pictures`;
    } catch (error) {
      if (error.code === "ENOENT") return "not run: ffprobe is not installed";
      throw error;
    } finally {
      for (const one of [body, preview]) await api(page, "DELETE", `/playback/${one.playback_id}`);
    }
  });
  await step("console: no complaint", async () => {
    const real = complaints.filter((text) => !/status of (401|403|404|409|503)/.test(text));
    if (real.length > 0) throw new Error(real.slice(0, 3).join(" | "));
  });
} catch (error) {
  failed += 1;
  process.stdout.write(`FAIL  ${env.user}: ${error.message}\n`);
} finally {
  await browser.close();
}
process.stdout.write(failed === 0 ? "playback-sync: all steps passed\n" : `playback-sync: ${failed} steps failed\n`);
process.exit(failed === 0 ? 0 : 1);
