// Capture-to-display latency as a browser sees it: nine sub-streams, then one main stream. Prints JSON.
//   node e2e/latency.mjs [seconds]
// The capture instants are the server's, so browser and server must share a clock (one machine, or NTP).
import { cameras, fillWall, launch, logIn, newPage, percentile, showable, until } from "./lib.mjs";

const seconds = Number(process.argv[2] ?? 20);

async function measure(page, layout, list) {
  await fillWall(page, layout, list);
  await until(
    page,
    `${list.length} live tiles`,
    (count) => document.querySelectorAll(".tile[data-fresh=live]").length >= count,
    list.length,
    40_000,
  );
  // The first seconds hold the catching up from the ring.
  await page.waitForTimeout(4000);
  await page.evaluate(() => window.__belfry.tiles.forEach((tile) => tile?.latencySamples.splice(0)));
  const before = await page.evaluate(() => Array.from(window.__belfry.tiles, (tile) => tile?.fragments ?? 0));
  await page.waitForTimeout(seconds * 1000);
  const tiles = await page.evaluate(() =>
    Array.from(window.__belfry.tiles, (tile) =>
      tile === undefined
        ? null
        : {
            samples: tile.latencySamples.map((sample) => sample.latencyUs),
            fragments: tile.fragments,
            dropped: tile.dropped,
            size: [tile.video.videoWidth, tile.video.videoHeight],
          },
    ),
  );
  const live = tiles.map((tile, index) => ({ tile, index })).filter(({ tile }) => tile != null);
  const all = live.flatMap(({ tile }) => tile.samples);
  const ms = (us) => (us === null ? null : Math.round(us / 100) / 10);
  return {
    tiles: live.length,
    size: live[0]?.tile.size.join("×"),
    seconds,
    frames_received: live.reduce((sum, { tile, index }) => sum + tile.fragments - (before[index] ?? 0), 0),
    frames_shown: all.length,
    frames_dropped_by_server: live.reduce((sum, { tile }) => sum + tile.dropped, 0),
    p50_ms: ms(percentile(all, 0.5)),
    p95_ms: ms(percentile(all, 0.95)),
    max_ms: ms(percentile(all, 1)),
  };
}

const browser = await launch();
try {
  const { page } = await newPage(browser);
  await logIn(page);
  const list = showable(await cameras(page));
  if (list.length < 1) throw new Error("no camera sends an H.264 picture that this user may see live");
  const sub = await measure(page, 9, list.slice(0, 9));
  const main = await measure(page, 1, list.slice(0, 1));
  process.stdout.write(`${JSON.stringify({ sub_tiles: sub, main_tile: main }, null, 2)}\n`);
} finally {
  await browser.close();
}
