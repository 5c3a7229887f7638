// Footage is held by one person and let go by two, in a real browser:  node e2e/holds.mjs [DIRECTORY for pictures]
// The operator holds what playback shows, the recorder takes it over, the operator asks for the release, the chief agrees.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { axe, cameras, desk, giveReason, launch, openPage, until } from "./lib.mjs";

const out = process.argv[2] ?? "e2e/out";
const REASON = `collision with a driver who fled, ${new Date().toISOString().slice(0, 19)}`;
mkdirSync(out, { recursive: true });
const browser = await launch();

const done = (text) => process.stdout.write(`ok    holds: ${text}\n`);
const card = (page) => page.getByRole("article").filter({ hasText: REASON });
let page;
try {
  const operator = await desk(browser, "operator");
  page = operator.page;
  const camera = (await cameras(page)).find((one) => one.state === "live" && one.partner === null && one.may.playback);
  if (camera === undefined) throw new Error("no recorded camera of the operator's own");
  await openPage(page, "/playback");
  await page.locator("input[type=search]").fill(camera.code);
  await page.keyboard.press("Enter");
  // Playback asks for its own purpose first.
  await giveReason(page, 10_000);
  await page.getByRole("button", { name: "Hold", exact: true }).click();
  const form = page.getByRole("dialog");
  await form.getByLabel("Thought to be needed until").fill("2099-12-31");
  await form.locator("textarea").fill(REASON);
  await axe(page, "the form of a hold");
  await page.screenshot({ path: join(out, "hold-form.png") });
  await form.getByRole("button", { name: "Set hold" }).click();
  await card(page).waitFor();
  await card(page).getByText("in force", { exact: true }).waitFor();
  done("the operator holds the span that playback shows");
  await until(
    page,
    "the recorder has taken the hold over",
    (reason) =>
      [...document.querySelectorAll("article")].some(
        (one) => one.textContent.includes(reason) && /Segments held by the recorder: [1-9]/.test(one.textContent),
      ),
    REASON,
    60_000,
  );
  done("the recorder says how many segments it holds");
  await card(page).getByRole("button", { name: "Ask for release" }).click();
  await card(page).getByLabel("Why is it no longer needed?").fill("the driver has come forward");
  await card(page).getByRole("button", { name: "Ask for release" }).click();
  await card(page).getByText("in force; release waits for a second person").waitFor();
  if ((await card(page).getByRole("button", { name: "Agree to the release" }).count()) > 0) {
    throw new Error("whoever asks for the release is offered to agree to it");
  }
  done("the release waits, and agreeing to it is not offered to whoever asks");

  const chief = await desk(browser, "chef");
  page = chief.page;
  await openPage(page, "/holds");
  await card(page).waitFor();
  await axe(page, "the holds of the chief");
  await page.screenshot({ path: join(out, "hold-release.png") });
  await card(page).getByRole("button", { name: "Agree to the release" }).click();
  await card(page).waitFor({ state: "detached" });
  await page.getByLabel("Also released ones").check();
  await card(page).getByText("released", { exact: true }).waitFor();
  done("the chief agrees, and the hold stays in the list of the released ones");

  for (const one of [operator, chief]) {
    const real = one.complaints.filter((text) => !/status of (401|403|404|409|422)/.test(text));
    if (real.length > 0) throw new Error(real.slice(0, 3).join(" | "));
  }
} catch (error) {
  await page?.screenshot({ path: join(out, "failed-holds.png") }).catch(() => undefined);
  process.stdout.write(`FAIL  holds: ${error.message}\n      picture: ${join(out, "failed-holds.png")}\n`);
  process.exitCode = 1;
} finally {
  await browser.close();
}
