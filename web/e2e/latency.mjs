// Capture-to-display latency as a browser sees it. Prints JSON.
//   node e2e/latency.mjs [seconds] [tiles]     nine sub-stream tiles on one wall, then one main stream
//   BELFRY_LATENCY=sub|main                    only the one or the other
//   BELFRY_MAIN=CODE                           the camera of the main stream (default: the first)
// The capture instants are the server's, so browser and server must share a clock (one machine, or NTP). The wall is not
// maximised over 1920×1080, and at nine tiles each picture is about 520×290 pixels on screen.
import { cameras, fillWall, launch, logIn, newPage, percentile, showable, until } from "./lib.mjs";

const seconds = Number(process.argv[2] ?? 20);
const tiles = Number(process.argv[3] ?? 9);
const only = process.env.BELFRY_LATENCY ?? "";
const main = process.env.BELFRY_MAIN ?? "";
const ms = (us) => (us === null ? null : Math.round(us / 100) / 10);

/** Time of the page's main thread so far, s, and its layouts. */
async function work(client) {
  const { metrics } = await client.send("Performance.getMetrics");
  const value = Object.fromEntries(metrics.map(({ name, value }) => [name, value]));
  return {
    task: value.TaskDuration,
    script: value.ScriptDuration,
    layouts: value.LayoutCount,
    styles: value.RecalcStyleCount,
  };
}

async function measure(page, layout, list) {
  await fillWall(page, layout, list);
  await until(
    page,
    `${list.length} live tiles`,
    (count) => document.querySelectorAll(".tile[data-fresh=live]").length >= count,
    list.length,
    60_000,
  );
  // The first seconds hold the catching up from the ring.
  await page.waitForTimeout(5000);
  const client = await page.context().newCDPSession(page);
  await client.send("Performance.enable");
  const quiet = await work(client);
  await page.waitForTimeout(3000);
  const calm = await work(client);
  const before = await page.evaluate(() =>
    window.__belfry.tiles.map((tile) => {
      tile?.latencySamples.splice(0);
      tile?.measure(true);
      return tile?.counts() ?? null;
    }),
  );
  await page.waitForTimeout(seconds * 1000);
  const raw = await page.evaluate(() =>
    window.__belfry.tiles.map((tile) => {
      if (tile === undefined) return null;
      tile.measure(false);
      return {
        samples: tile.latencySamples.map((sample) => sample.latencyUs),
        counts: tile.counts(),
        size: [tile.video.videoWidth, tile.video.videoHeight],
      };
    }),
  );
  const told = raw.flatMap((tile, index) => {
    const first = before[index];
    if (tile === null || tile === undefined || first === null || first === undefined) return [];
    const since = (name) => tile.counts[name] - first[name];
    return [
      {
        camera: list[index]?.code,
        size: tile.size.join("×"),
        received: since("fragments"),
        appends: since("appends"),
        lost: since("lost"),
        // Frames handed to the screen; the call-backs may be fewer, as the browser joins those of one picture refresh.
        shown: since("decoded") - since("lost"),
        call_backs: tile.samples.length,
        left_out_by_server: since("dropped"),
        stalls: since("stalls"),
        seeks: since("seeks"),
        held_behind_ms: Math.round(tile.counts.targetS * 1000),
        p50_ms: ms(percentile(tile.samples, 0.5)),
        p95_ms: ms(percentile(tile.samples, 0.95)),
        samples: tile.samples,
      },
    ];
  });
  const all = told.flatMap((tile) => tile.samples);
  const sum = (name) => told.reduce((total, tile) => total + tile[name], 0);
  return {
    tiles: told.length,
    seconds,
    frames_received: sum("received"),
    frames_shown: sum("shown"),
    call_backs: sum("call_backs"),
    frames_lost: sum("lost"),
    frames_dropped_by_server: sum("left_out_by_server"),
    p50_ms: ms(percentile(all, 0.5)),
    p95_ms: ms(percentile(all, 0.95)),
    max_ms: ms(percentile(all, 1)),
    page_work_per_s: {
      main_thread_ms: Math.round(((calm.task - quiet.task) * 1000) / 3),
      script_ms: Math.round(((calm.script - quiet.script) * 1000) / 3),
      layouts: Math.round((calm.layouts - quiet.layouts) / 3),
      styles: Math.round((calm.styles - quiet.styles) / 3),
    },
    each: told.map((tile) => ({ ...tile, samples: undefined })),
  };
}

/** Sub-streams of 640×360 first, so that nine tiles carry nine of them. */
const small = (camera) => camera.streams.some((stream) => stream.use === "sub");

const browser = await launch();
try {
  const { page } = await newPage(browser, { width: 1920, height: 1080 });
  await logIn(page);
  const list = showable(await cameras(page)).sort((a, b) => Number(small(b)) - Number(small(a)));
  if (list.length < 1) throw new Error("no camera sends an H.264 picture that this user may see live");
  const result = { shown_cameras: list.length };
  if (only !== "main") {
    const layout = [1, 4, 9, 16].find((one) => one >= tiles) ?? 16;
    result.sub_tiles = await measure(page, layout, list.slice(0, tiles));
  }
  const chosen = list.filter((camera) => main === "" || camera.code === main).slice(0, 1);
  if (chosen.length < 1) throw new Error(`${main} is not among the cameras that this user may see live`);
  if (only !== "sub") result.main_tile = await measure(page, 1, chosen);
  process.stdout.write(`${JSON.stringify(result, null, 2)}\n`);
} finally {
  await browser.close();
}
