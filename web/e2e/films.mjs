// Plays the newest seconds of every camera that the person may play back, one after the other, in a real browser:
//   node e2e/films.mjs          (environment as in lib.mjs; BELFRY_SECONDS, 12, is how much of each)
// Ends with exit status 1 when a camera's picture does not go on to the end of the span, or anything complains.
import { api, cameras, env, launch, logIn, newPage, until, WHY } from "./lib.mjs";

const seconds = Number(process.env.BELFRY_SECONDS ?? 12);
const browser = await launch();
const { page, complaints } = await newPage(browser);
let failed = 0;

/** Plays a span in the page's own video element and gives what came of it. */
async function play(ticket) {
  await page.evaluate((url) => {
    document.querySelector("#films")?.remove();
    const video = document.createElement("video");
    Object.assign(video, { id: "films", muted: true, src: url });
    video.dataset.sizes = "";
    const note = () => {
      const size = `${video.videoWidth}x${video.videoHeight}`;
      if (!video.dataset.sizes.split(" ").includes(size)) video.dataset.sizes += ` ${size}`;
      video.requestVideoFrameCallback(note);
    };
    video.requestVideoFrameCallback(note);
    document.body.append(video);
    return video.play();
  }, ticket.url);
  const wanted = (Date.parse(ticket.ends_at) - Date.parse(ticket.starts_at)) / 1000 - 0.5;
  await until(
    page,
    "the picture goes on to the end",
    (end) => {
      const video = document.querySelector("#films");
      if (video.error) throw new Error(`media error ${video.error.code}: ${video.error.message}`);
      return video.currentTime >= end;
    },
    wanted,
    (wanted + 15) * 1000,
  );
  return page.evaluate(() => {
    const video = document.querySelector("#films");
    const { totalVideoFrames: shown, droppedVideoFrames: dropped } = video.getVideoPlaybackQuality();
    return { at: video.currentTime, shown, dropped, sizes: video.dataset.sizes.trim() };
  });
}

try {
  await logIn(page);
  // Before the log-in the page asks for a session and is told that there is none.
  complaints.length = 0;
  const list = (await cameras(page)).filter((camera) => camera.state === "live" && camera.may.playback);
  if (list.length === 0) throw new Error(`no camera to play at ${env.url}`);
  for (const camera of list) {
    try {
      const to = Date.now() - 3000;
      const { status, body } = await api(page, "POST", "/playback-tickets", {
        stream_id: camera.streams[0].id,
        from: new Date(to - seconds * 1000).toISOString(),
        to: new Date(to).toISOString(),
        purpose: { code: "INTERVENTIE", justification: WHY, case_ref: null },
      });
      if (status >= 300) throw new Error(`ticket: ${status} ${JSON.stringify(body)}`);
      if ((await page.evaluate((mime) => document.createElement("video").canPlayType(mime), body.mime)) === "") {
        process.stdout.write(`skip  ${camera.code}: this browser has no decoder for ${body.mime}\n`);
        continue;
      }
      const { at, shown, dropped, sizes } = await play(body);
      process.stdout.write(`ok    ${camera.code}: ${at.toFixed(1)} s, ${shown} frames, ${dropped} dropped, ${sizes}\n`);
    } catch (error) {
      failed += 1;
      process.stdout.write(`FAIL  ${camera.code}: ${error.message}\n`);
    }
  }
  for (const complaint of complaints) process.stdout.write(`      the page complained: ${complaint}\n`);
} finally {
  await browser.close();
}
process.exit(failed + complaints.length === 0 ? 0 : 1);
