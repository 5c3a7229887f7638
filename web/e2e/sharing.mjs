// A partner takes a share back while an operator looks, in a real browser:  node e2e/sharing.mjs [DIRECTORY for pictures]
// The operator watches a shared camera live, its owner takes the share back, the picture ends in words; the overseer sees all of it.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { api, axe, cameras, desk, fillWall, launch, openPage, until } from "./lib.mjs";

const out = process.argv[2] ?? "e2e/out";
mkdirSync(out, { recursive: true });
const browser = await launch();
const done = (text) => process.stdout.write(`ok    sharing: ${text}\n`);
let page;
try {
  const operator = await desk(browser, "operator");
  page = operator.page;
  const list = await cameras(page);
  const camera = list.find((one) => one.partner !== null && one.may.live && one.state === "live");
  if (camera === undefined) throw new Error("no partner's camera is shared with the operator's zone");
  await fillWall(page, 1, [camera]);
  await until(
    page,
    "the shared camera's picture",
    () => (window.__belfry?.tiles[0]?.latencySamples.length ?? 0) > 5,
    null,
    60_000,
  );
  done(`the operator watches ${camera.code}, which its owner shares`);

  const owner = await desk(browser, "mivb");
  page = owner.page;
  await openPage(page, "/sharing");
  const row = page.getByRole("row").filter({ hasText: camera.code }).filter({ hasText: "Live" });
  await row.getByRole("button", { name: "Take back" }).waitFor();
  await axe(page, "the shares of the owner");
  await page.screenshot({ path: join(out, "share-owner.png") });
  const began = Date.now();
  await row.getByRole("button", { name: "Take back" }).click();

  page = operator.page;
  await page.getByText("Access has been withdrawn").first().waitFor({ timeout: 10_000 });
  const took = Date.now() - began;
  await page.screenshot({ path: join(out, "share-gone.png") });
  // 5 s, and what the browser needs to click and to paint.
  if (took > 8_000) throw new Error(`the picture went on for ${took} ms`);
  done(`the owner takes the share back, and the picture ends in words after ${took} ms`);
  const main = camera.streams.find((one) => one.use === "main") ?? camera.streams[0];
  const again = await api(page, "POST", "/stream-tickets", {
    stream_id: main.id,
    kind: "live",
    purpose: { code: "INTERVENTIE", justification: "nog eens kijken naar het kruispunt" },
  });
  // Whoever may not know of a camera hears that there is none.
  if (again.status !== 404) throw new Error(`a new request is answered with ${again.status}`);
  done("a new request hears of no such camera");

  const overseer = await desk(browser, "toezicht");
  page = overseer.page;
  const now = Date.now();
  const span = `from=${new Date(now - 600_000).toISOString()}&to=${new Date(now + 60_000).toISOString()}`;
  await until(
    page,
    "use, withdrawal and refusal in the log",
    async (path) => {
      const text = await (await fetch(`/api/v1/audit?limit=500&${path}`)).text();
      return ["grant_taken_back", '"revoked"', '"not_in_table"'].every((word) => text.includes(word));
    },
    span,
    15_000,
  );
  await openPage(page, "/audit");
  await page.screenshot({ path: join(out, "share-overseer.png") });
  done("the overseer sees it in the log");
} catch (error) {
  process.stderr.write(`FAIL  sharing: ${error.message}\n`);
  await page?.screenshot({ path: join(out, "share-fail.png") });
  process.exitCode = 1;
} finally {
  await browser.close();
}
