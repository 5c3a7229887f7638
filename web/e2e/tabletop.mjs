// The tabletop of issue D in a real browser: a share is taken back in the middle of a pursuit, as operator, owner and overseer see it.
//   node e2e/tabletop.mjs [DIRECTORY for pictures]      against the demo; every step has its picture
// The share that it takes back is given again at the end, so that it can be played once more.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { api, axe, cameras, desk, fillWall, launch, openPage, until } from "./lib.mjs";

const out = process.argv[2] ?? "e2e/out";
mkdirSync(out, { recursive: true });
const browser = await launch();
const done = (text) => process.stdout.write(`ok    tabletop: ${text}\n`);
const picture = (page, name) => page.screenshot({ path: join(out, `tabletop-${name}.png`) });
const must = (answer, wanted, what) => {
  if (answer.status !== wanted) throw new Error(`${what}: ${answer.status} ${JSON.stringify(answer.body ?? "")}`);
  return answer.body;
};
const PURSUIT = { code: "INTERVENTIE", justification: "achtervolging van een grijze bestelwagen over de zonegrens" };
const samples = (tile) => (window.__belfry?.tiles[tile]?.latencySamples.length ?? 0) > 5;
let page;

/** Shares every camera of the owner with the zone that watches, where that is not so already. */
async function share(owner, zone) {
  const list = (await cameras(owner)).filter((one) => one.relation === "own" && one.state === "live");
  const grants = must(await api(owner, "GET", "/grants"), 200, "the owner's grants").items;
  const has = (id) => grants.some((one) => one.in_force && one.camera_id === id && one.right === "live");
  const missing = list.map((one) => one.id).filter((id) => !has(id));
  if (missing.length === 0) return;
  const body = {
    camera_ids: missing,
    partner_id: zone,
    rights: ["live"],
    from: new Date().toISOString(),
    to: new Date(Date.now() + 300 * 86_400_000).toISOString(),
  };
  must(await api(owner, "POST", "/grants", body), 201, "the share");
}

try {
  // 1. Before: who shares what.
  const owner = (await desk(browser, "mivb")).page;
  page = owner;
  const orgs = must(await api(owner, "GET", "/orgs"), 200, "organisations");
  const zone = (orgs.items ?? orgs).find((one) => one.code === "5340").id;
  await share(owner, zone);
  await openPage(owner, "/sharing");
  await owner.getByRole("button", { name: "Take back" }).first().waitFor();
  await picture(owner, "1-owner-before");

  // 2. The pursuit: two shared cameras on the operator's wall.
  const operator = (await desk(browser, "operator")).page;
  page = operator;
  const shared = (await cameras(operator)).filter(
    (one) => one.partner !== null && one.may.live && one.state === "live",
  );
  if (shared.length < 2) throw new Error("the tabletop needs two shared cameras");
  const [first, second] = shared;
  await fillWall(operator, 4, [first, second]);
  await until(operator, "the first picture", samples, 0, 60_000);
  await until(operator, "the second picture", samples, 1, 60_000);
  await picture(operator, "2-operator-pursuit");
  done(`the operator follows over ${first.code} and ${second.code}`);

  // 3. The owner takes one of them back.
  page = owner;
  const row = owner.getByRole("row").filter({ hasText: first.code }).filter({ hasText: "Live" });
  const began = Date.now();
  await row.getByRole("button", { name: "Take back" }).click();
  page = operator;
  await operator.getByText("Access has been withdrawn").first().waitFor({ timeout: 10_000 });
  const took = Date.now() - began;
  // 5 s, and what the browser needs to click and to paint.
  if (took > 8_000) throw new Error(`the picture went on for ${took} ms`);
  await axe(operator, "the wall with a withdrawn camera");
  await picture(operator, "3-operator-withdrawn");
  await picture(owner, "3-owner-taken-back");
  const count = await operator.evaluate(() => window.__belfry.tiles[1].latencySamples.length);
  await until(
    operator,
    "the other camera goes on",
    (old) => window.__belfry.tiles[1].latencySamples.length > old,
    count,
    10_000,
  );
  const main = (camera) => (camera.streams.find((one) => one.use === "main") ?? camera.streams[0]).id;
  const wish = (camera) => ({ stream_id: main(camera), kind: "live", purpose: PURSUIT });
  const refused = await api(operator, "POST", "/stream-tickets", wish(first));
  if (refused.status !== 404) throw new Error(`a new request is answered with ${refused.status}`);
  done(`the picture ended in words after ${took} ms, the other camera goes on, a new request hears of no such camera`);

  // 4. The supervisor opens emergency access; the owner reads of it at once.
  const supervisor = (await desk(browser, "supervisor")).page;
  page = supervisor;
  const closed = await api(supervisor, "POST", "/stream-tickets", wish(first));
  if (closed.status !== 403) throw new Error(`without emergency access: ${closed.status}`);
  must(
    await api(supervisor, "POST", "/break-glass", { camera_ids: [first.id], purpose: PURSUIT }),
    201,
    "emergency access",
  );
  must(await api(supervisor, "POST", "/stream-tickets", wish(first)), 200, "live under emergency access");
  await openPage(supervisor, "/events");
  await supervisor.getByText(first.code).first().waitFor();
  await picture(supervisor, "4-supervisor-emergency");
  page = owner;
  await openPage(owner, "/notices");
  await owner.getByText("Emergency access").first().waitFor({ timeout: 20_000 });
  await axe(owner, "the owner's notices");
  await picture(owner, "4-owner-notices");
  done("the supervisor opens emergency access, and the owner reads who, what and why");

  // 5. The overseer sees every step, and stops the whole flow; nothing of the partner shows any more, emergency or not.
  const overseer = (await desk(browser, "toezicht")).page;
  page = overseer;
  const now = Date.now();
  const span = `from=${new Date(now - 900_000).toISOString()}&to=${new Date(now + 60_000).toISOString()}`;
  const words = ["grant_taken_back", '"revoked"', "break_glass", '"not_in_table"'];
  await until(
    overseer,
    "every step in the log",
    async ([path, wanted]) => {
      const text = await (await fetch(`/api/v1/audit?limit=500&${path}`)).text();
      return wanted.every((word) => text.includes(word));
    },
    [span, words],
    20_000,
  );
  await openPage(overseer, "/audit");
  await overseer.getByRole("main").waitFor();
  await picture(overseer, "5-overseer-log");
  const flow = "/flows/SHARE:MIVB:5340:*/switch";
  const stop = { step: "suspend", reason: "klacht over deze achtervolging", authority: "CC-2026-14" };
  const stopped = Date.now();
  must(await api(overseer, "POST", flow, stop), 200, "the switch");
  page = operator;
  await until(
    operator,
    "the second picture ends",
    () => document.body.innerText.split("Access has been withdrawn").length > 2,
    null,
    10_000,
  );
  const ended = Date.now() - stopped;
  // 5 s, and what the browser needs to click and to paint.
  if (ended > 8_000) throw new Error(`the picture went on for ${ended} ms`);
  await picture(operator, "5-operator-suspended");
  const barred = await api(supervisor, "POST", "/stream-tickets", wish(first));
  if (barred.status !== 403 || barred.body?.code !== "suspended")
    throw new Error(`suspended: ${JSON.stringify(barred)}`);
  page = overseer;
  await openPage(overseer, "/oversight");
  await overseer.getByText("SHARE:MIVB:5340:*").first().waitFor();
  await picture(overseer, "5-overseer-switch");
  must(
    await api(overseer, "POST", flow, { ...stop, step: "resume", reason: "klacht is onderzocht, mag verder" }),
    200,
    "resume",
  );
  done(`the overseer finds every step in the log and stops the flow: the last picture ended after ${ended} ms`);

  // 6. Afterwards: the emergency access is reviewed by somebody else than whoever opened it.
  const chief = (await desk(browser, "chef")).page;
  page = chief;
  await openPage(chief, "/events");
  await chief.getByRole("button", { name: "It was justified" }).first().click();
  await chief
    .getByLabel(/Justification/)
    .first()
    .fill("achtervolging over de zonegrens, terecht");
  await chief.getByRole("button", { name: "It was justified" }).last().click();
  await chief.getByText("terecht").first().waitFor({ timeout: 10_000 });
  await picture(chief, "6-chief-review");
  await share(owner, zone);
  done("the zone chief reviews it, and the owner shares again");
} catch (error) {
  process.stderr.write(`FAIL  tabletop: ${error.message}\n`);
  await page?.screenshot({ path: join(out, "tabletop-fail.png") });
  process.exitCode = 1;
} finally {
  await browser.close();
}
