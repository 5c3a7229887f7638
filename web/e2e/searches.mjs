// Police reads behind the magistrate's gate, in a real browser against the demo:  node e2e/searches.mjs [DIRECTORY for pictures]
// The chief proposes to keep the police reads of a camera and the data-protection officer agrees; the supervisor orders a search under a magistrate's
// decision, the chief reads what agreeing opens and agrees, the supervisor opens it. Nothing lies behind the gate before a first term of 30 days is
// over, so that nothing is found, in words; what is found then is tested with a simulated clock (`crates/belfry/tests`).
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { axe, cameras, desk, launch, openPage, setLanguage } from "./lib.mjs";

const out = process.argv[2] ?? "e2e/out";
const STAMP = new Date().toISOString().slice(0, 19);
const GROUND = `the car of the break-in in Jette, ${STAMP}`;
const CASE = "BR.11.L1.4711/2026";
const REFERENCE = "OR Brussel 77/2026";
mkdirSync(out, { recursive: true });
const browser = await launch();

const done = (text) => process.stdout.write(`ok    searches: ${text}\n`);
/** Told apart by the ground of this run: an earlier one may have left others. */
const card = (page) => page.getByRole("article").filter({ hasText: GROUND });
/** A moment of Brussels as the form takes it. */
const moment = (ms) =>
  new Intl.DateTimeFormat("sv-SE", { timeZone: "Europe/Brussels", dateStyle: "short", timeStyle: "short" }).format(ms);

const desks = [];
async function at(user, path) {
  const mine = await desk(browser, user);
  desks.push(mine);
  await openPage(mine.page, path);
  return mine.page;
}

async function notOffered(page, name, whom) {
  if ((await card(page).getByRole("button", { name }).count()) > 0) throw new Error(`${name} is offered to ${whom}`);
}

let page;
try {
  const chief = await at("chef", "/gated");
  page = chief;
  const own = (await cameras(chief)).filter((one) => one.relation === "own" && one.partner === null);
  const reading = own.find((one) => one.state === "live" && one.kind !== "overview");
  const overview = own.find((one) => one.state !== "draft" && one.kind === "overview");
  if (reading === undefined) throw new Error("no live camera of the chief's own that reads plates");
  await chief.getByRole("button", { name: "Keep past the term" }).click();
  const form = chief.getByRole("dialog");
  if (overview !== undefined) {
    await form.getByLabel("Camera").selectOption(overview.id);
    if ((await form.getByLabel("What stays").count()) > 0) throw new Error("reads of a camera that reads no plates");
  }
  await form.getByLabel("Camera").selectOption(reading.id);
  await form.getByLabel("What stays").selectOption({ label: "the police reads made at it" });
  await form.getByLabel("Justification").fill(GROUND);
  await form.getByLabel("Case number").fill(CASE);
  await axe(chief, "the proposal to keep reads");
  await chief.screenshot({ path: join(out, "gated-reads-form.png") });
  await form.getByRole("button", { name: "Propose" }).click();
  await form.waitFor({ state: "detached" });
  await card(chief).getByText("waits for a second person").waitFor();
  await card(chief).getByText("the police reads made at it").waitFor();
  await notOffered(chief, "Agree", "whoever proposed it");
  done("the chief proposes to keep the police reads of a camera that reads plates");

  const officer = await at("dpo", "/gated");
  page = officer;
  await card(officer)
    .getByText(/every police read made at this camera/)
    .waitFor();
  await axe(officer, "a proposal to keep reads");
  await card(officer).getByRole("button", { name: "Agree" }).click();
  await card(officer).getByText("in force", { exact: true }).waitFor();
  await card(officer).getByText("The first term of these hours is not over yet.").waitFor();
  done("the data-protection officer reads what stays, and agrees");

  const supervisor = await at("supervisor", "/searches");
  page = supervisor;
  await supervisor.getByRole("button", { name: "Order a search" }).click();
  const wish = supervisor.getByRole("dialog");
  await wish.getByLabel("Justification").fill(GROUND);
  await wish.getByLabel("Case number").fill(CASE);
  await wish.getByRole("button", { name: "Order", exact: true }).click();
  const reference = wish.getByLabel("Reference of the magistrate's decision");
  if (!(await reference.evaluate((field) => field.matches(":invalid")))) {
    throw new Error("an order without a magistrate's decision is sent");
  }
  await reference.fill(REFERENCE);
  await wish.getByRole("button", { name: "Order", exact: true }).click();
  await wish.getByText("Name a number plate, a camera, or both.").waitFor();
  await wish.getByLabel(/^Number plate/).fill("1-ZZZ-9?9");
  await wish.getByLabel("Search for").selectOption("wildcard");
  await wish.getByLabel("From").fill(moment(Date.now() - 2 * 3_600_000));
  await wish.getByLabel(/^To /).fill(moment(Date.now() - 3_600_000));
  await axe(supervisor, "the order of a search");
  await supervisor.screenshot({ path: join(out, "search-order.png") });
  await wish.getByRole("button", { name: "Order", exact: true }).click();
  await wish.waitFor({ state: "detached" });
  await card(supervisor).getByText("waits for a second person").waitFor();
  await notOffered(supervisor, "Agree", "whoever ordered it");
  await notOffered(supervisor, "Open", "whoever ordered it, before anybody agreed");
  done("the supervisor orders a search; without a magistrate's decision, a plate or a camera the form holds it back");

  page = chief;
  await openPage(chief, "/searches");
  await card(chief)
    .getByText(/^If you agree, .*Plates that fit 1ZZZ9\?9.*all cameras of the own organisation/)
    .waitFor();
  await card(chief)
    .getByText(new RegExp(`seen the magistrate's written decision ${REFERENCE}`))
    .waitFor();
  await axe(chief, "an order that waits for the second person");
  await chief.screenshot({ path: join(out, "search-agree.png") });
  await card(chief).getByRole("button", { name: "Agree" }).click();
  await card(chief).getByText("in force", { exact: true }).waitFor();
  await notOffered(chief, "Open", "whoever agreed");
  done("the chief reads what agreeing opens, agrees, and may not open it");

  page = supervisor;
  await supervisor.getByRole("button", { name: "Load anew" }).click();
  await card(supervisor).getByRole("button", { name: "Open" }).click();
  await card(supervisor)
    .getByText(/^Nothing found: no read behind the gate fits this order/)
    .waitFor();
  await axe(supervisor, "an opened search");
  await supervisor.screenshot({ path: join(out, "search-nothing.png") });
  for (const language of ["nl", "fr"]) {
    await setLanguage(supervisor, language);
    await card(supervisor).waitFor();
    await supervisor.screenshot({ path: join(out, `search-${language}.png`) });
  }
  done("the supervisor opens it, and reads that nothing lies behind the gate yet");

  for (const one of desks) {
    const real = one.complaints.filter((text) => !/status of (401|403|404|409|422)/.test(text));
    if (real.length > 0) throw new Error(real.slice(0, 3).join(" | "));
  }
} catch (error) {
  await page?.screenshot({ path: join(out, "failed-searches.png") }).catch(() => undefined);
  process.stdout.write(`FAIL  searches: ${error.message}\n      picture: ${join(out, "failed-searches.png")}\n`);
  process.exitCode = 1;
} finally {
  await browser.close();
}
