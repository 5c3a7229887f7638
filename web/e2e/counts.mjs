// The page of counts and travel times, in a real browser against the demo:  node e2e/counts.mjs [DIRECTORY for pictures]
// The mobility operator of another organisation sees the places that were shared, by keyboard alone; a control-room operator has no such page.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { api, axe, desk, launch, openPage } from "./lib.mjs";

const out = process.argv[2] ?? "e2e/out";
mkdirSync(out, { recursive: true });
const browser = await launch();
const done = (text) => process.stdout.write(`ok    counts: ${text}\n`);
let page;
try {
  page = (await desk(browser, "mobiliteit")).page;
  await openPage(page, "/counts");
  const places = page.getByRole("region", { name: "Places" });
  const routes = page.getByRole("region", { name: "Routes" });
  await places.getByRole("button").first().waitFor();
  const names = await places.getByRole("button").allInnerTexts();
  if (names.length !== 3 || !names.some((name) => name.includes("KKL-IN"))) throw new Error(`places: ${names}`);
  await axe(page, "the counts of a place");
  // From the first place to the route with the keyboard, and on into what it shows.
  await places.getByRole("button").first().focus();
  for (let step = 0; step < names.length; step += 1) await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await routes.locator("button[aria-current=true]", { hasText: "KKL-ANC" }).waitFor();
  await page.keyboard.press("Tab");
  const place = await page.evaluate(() => document.activeElement?.getAttribute("aria-label") ?? "");
  if (!place.includes("Annie Cordy")) throw new Error(`the keyboard is at "${place}", not at the route`);
  await axe(page, "the travel times of a route");
  await page.screenshot({ path: join(out, "counts-route.png") });
  done("the mobility operator reaches each place and route by keyboard");

  await page.getByRole("button", { name: "Day before" }).click();
  await page.getByText("No travel time of this day may be shown").waitFor();
  done("a day without numbers says so");

  const operator = (await desk(browser, "operator")).page;
  page = operator;
  if ((await operator.locator('nav a[href^="/counts"]').count()) > 0) throw new Error("the operator has the page");
  const refused = await api(operator, "GET", "/statistics/places");
  if (refused.status !== 403) throw new Error(`the operator is answered ${refused.status}`);
  done("a control-room operator has no such page, and is refused");
} catch (error) {
  if (page !== undefined) await page.screenshot({ path: join(out, "counts-failed.png") });
  throw error;
} finally {
  await browser.close();
}
