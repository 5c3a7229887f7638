// Plates that a zone looks for, in a real browser against the demo:  node e2e/watchlist.mjs DEMO [DIRECTORY for pictures]
// The keeper proposes, the chief agrees, the reader's reads give hits, the operator compares each with its picture; the supervisor searches behind
// purpose and case; another zone sees none of it. DEMO is the demo's folder: its truth says which plates pass next.
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { axe, desk, launch, openPage, setLanguage, until } from "./lib.mjs";

const demo = process.argv[2];
const out = process.argv[3] ?? "e2e/out";
const CAMERA = "LEZ-R-KKL-A01-IN";
const STAMP = new Date().toISOString().slice(0, 19);
/** Long enough for two people to agree before the vehicle comes. */
const SOON_S = 12;
mkdirSync(out, { recursive: true });
const browser = await launch();
const done = (text) => process.stdout.write(`ok    watchlist: ${text}\n`);

/** Belgian plates in the order in which they pass the gantry from now on; the town's film repeats. */
function next() {
  const { started_at_us, film_seconds } = JSON.parse(readFileSync(join(demo, "town/started.json"), "utf8"));
  const now = (Date.now() - started_at_us / 1000) / 1000;
  const lines = readFileSync(join(demo, "town/truth.jsonl"), "utf8").trim().split("\n").map(JSON.parse);
  return lines
    .filter((row) => row.camera === CAMERA && row.country === "B")
    .map((row) => ({ plate: row.plate, in_s: (((row.t_line - now) % film_seconds) + film_seconds) % film_seconds }))
    .sort((a, b) => a.in_s - b.in_s);
}

/** Told apart by the words of this run: an earlier one may have left the same plates. */
const reason = (plate) => `car of the break-in in Jette, ${plate.slice(-3)} ${STAMP}`;
const entry = (page, plate) => page.getByRole("article").filter({ hasText: reason(plate) });

/** A moment of Brussels as the form takes it. */
const moment = (ms) =>
  new Intl.DateTimeFormat("sv-SE", { timeZone: "Europe/Brussels", dateStyle: "short", timeStyle: "short" }).format(ms);

async function fillEntry(page, plate, ends_ms) {
  const form = page.getByRole("dialog");
  await form.getByLabel("Plate", { exact: true }).fill(plate);
  await form.getByLabel(/^Ends/).fill(moment(ends_ms));
  await form.getByLabel("Justification").fill(reason(plate));
  await form.getByLabel("Case number").fill("BR.11.L1.4711/2026");
  return form;
}

async function propose(page, plate) {
  await page.getByRole("button", { name: "Add a plate" }).click();
  const form = await fillEntry(page, plate, Date.now() + 30 * 86_400_000);
  await form.getByRole("button", { name: "Propose" }).click();
  await form.waitFor({ state: "detached" });
  await entry(page, plate).getByText("waits for a second person").waitFor();
}

/** What the form and the server hold back, in words. */
async function refusals(page) {
  await page.getByRole("button", { name: "Add a plate" }).click();
  const form = await fillEntry(page, "1ZZZ999", Date.now() + 500 * 86_400_000);
  const purposes = await form.getByLabel("Purpose").locator("option").allInnerTexts();
  if (purposes.join() !== "Judicial investigation,Missing person,Public order")
    throw new Error(`purposes: ${purposes}`);
  await axe(page, "the proposal of an entry");
  await form.getByLabel("Case number").fill("");
  await form.getByRole("button", { name: "Propose" }).click();
  if (!(await form.getByLabel("Case number").evaluate((field) => field.matches(":invalid")))) {
    throw new Error("an entry without a case number is sent");
  }
  await form.getByLabel("Case number").fill("BR.11.L1.4711/2026");
  await form.getByRole("button", { name: "Propose" }).click();
  await form.getByText("End: lies past the longest term.").waitFor();
  await form.getByLabel("Plate", { exact: true }).fill("??");
  await form.getByRole("button", { name: "Propose" }).click();
  await form.getByText("Plate: is no number plate.").waitFor();
  await page.screenshot({ path: join(out, "watchlist-refused.png") });
  await page.keyboard.press("Escape");
  await form.waitFor({ state: "detached" });
}

/** The hit of a plate; while it is open the page does not tell the plate, so its justification names it. */
const hit = (page, plate) => page.getByRole("article").filter({ hasText: reason(plate) });

async function pictures(page, card) {
  await card.first().waitFor({ timeout: 70_000 });
  const all = await card.first().locator("img").elementHandles();
  if (all.length < 2) throw new Error(`a hit with ${all.length} pictures`);
  for (const image of all) {
    await until(page, "a picture of the hit", (one) => one.complete && one.naturalWidth > 0, image);
  }
}

async function search(page, { plate, match, days = "7" }) {
  await page.getByLabel("Search a plate").fill(plate);
  await page.getByLabel("Search for", { exact: true }).selectOption(match);
  await page.getByLabel("Over", { exact: true }).selectOption(days);
  await page.getByRole("button", { name: "Search", exact: true }).click();
}

/** Plates of the rows that a search found. */
async function found(page, wanted) {
  await until(
    page,
    `reads of ${wanted} only, by a search`,
    (plate) => {
      const rows = [...document.querySelectorAll("tbody tr .plate")].map((one) => one.textContent);
      const told = /Reads found: [1-9]/.test(document.querySelector("main").textContent);
      return told && rows.length > 0 && rows.every((one) => one === plate);
    },
    wanted,
  );
}

const desks = [];
async function at(user, path) {
  const mine = await desk(browser, user);
  desks.push(mine);
  await openPage(mine.page, path);
  return mine.page;
}

let page;
try {
  const keeper = await at("lijsten", "/watchlist");
  const chief = await at("chef", "/watchlist");
  const operator = await at("operator", "/hits");
  page = keeper;
  await refusals(keeper);
  done("no case number, an end past the longest term and no plate are refused in words");

  const [first, second] = next().filter((row) => row.in_s > SOON_S);
  await propose(keeper, first.plate);
  await propose(keeper, second.plate);
  if ((await keeper.getByRole("button", { name: "Agree" }).count()) > 0) {
    throw new Error("whoever proposes an entry is offered to agree to it");
  }
  await axe(keeper, "the watchlist of its keeper");
  await keeper.screenshot({ path: join(out, "watchlist-proposed.png") });
  done("two entries wait for a second person, and agreeing is not offered to whoever proposed them");

  page = chief;
  await chief.reload();
  for (const { plate } of [first, second]) {
    await entry(chief, plate).getByRole("button", { name: "Agree" }).click();
    await entry(chief, plate).getByText("in force", { exact: true }).waitFor();
  }
  if ((await chief.getByRole("button", { name: "Add a plate" }).count()) > 0) {
    throw new Error("the chief is offered to propose an entry");
  }
  done("the chief agrees to both");

  // Meanwhile the vehicles are on their way.
  const officer = await at("dpo", "/watchlist");
  page = officer;
  await officer
    .getByRole("row")
    .filter({ hasText: "Judicial investigation" })
    .getByText("2", { exact: true })
    .waitFor();
  await officer.getByRole("cell", { name: /Politiezone Brussel-West/ }).waitFor();
  for (const { plate } of [first, second]) {
    if ((await officer.getByText(plate).count()) > 0) throw new Error("the data-protection officer reads a plate");
  }
  await axe(officer, "the sizes of the lists");
  await officer.screenshot({ path: join(out, "watchlist-sizes.png") });
  done("the data-protection officer sees how many entries there are, and no plate");
  const foreign = await at("chef-5339", "/watchlist");
  const supervisor = await at("supervisor", "/reads");

  page = operator;
  await pictures(operator, hit(operator, first.plate));
  const card = hit(operator, first.plate).first();
  if ((await card.innerText()).includes(first.plate)) throw new Error("an open hit tells the plate");
  if ((await card.innerText()).includes("4711")) throw new Error("the operator reads the case");
  await axe(operator, "an open hit");
  await operator.screenshot({ path: join(out, "hit-open.png") });
  done("a read gives a hit with two pictures, and neither plate nor case are told to whoever compares");
  await card.getByLabel("Plate in the picture").fill("1AAA111");
  await operator.keyboard.press("Enter");
  await card.getByText("Plate in the picture: is not the plate that is looked for.").waitFor();
  done("another plate than the one that is looked for confirms nothing");
  for (;;) {
    const open = hit(operator, first.plate);
    if ((await open.count()) === 0) break;
    // This one, not one fewer: the vehicle may pass again meanwhile.
    const card = await open.first().elementHandle();
    await open.first().getByLabel("Plate in the picture").fill(first.plate);
    await operator.keyboard.press("Enter");
    await until(operator, "the confirmed hit left the list", (one) => !one.isConnected, card);
  }
  await operator.getByText(`${first.plate}: confirmed.`).waitFor();
  await pictures(operator, hit(operator, second.plate));
  await hit(operator, second.plate).first().getByRole("button", { name: "Dismiss" }).click();
  await operator.getByLabel(/^Why not/).fill("the vehicle was found this morning");
  await operator.keyboard.press("Enter");
  await operator.getByLabel("Which").selectOption("dismissed");
  await hit(operator, second.plate).first().getByText("the vehicle was found this morning").waitFor();
  await operator.getByLabel("Which").selectOption("confirmed");
  await hit(operator, first.plate).first().getByText(first.plate, { exact: true }).waitFor();
  await axe(operator, "decided hits");
  await operator.screenshot({ path: join(out, "hit-confirmed.png") });
  done("the operator confirms one against its picture and dismisses the other with a reason");

  page = supervisor;
  await search(supervisor, { plate: first.plate, match: "exact" });
  const why = supervisor.getByRole("dialog");
  await why.getByLabel("Justification").fill("where the car of the break-in was");
  await why.getByRole("button", { name: "Continue" }).click();
  // Purpose and justification alone open nothing.
  await why.getByText("A number is asked for here.").waitFor();
  await axe(supervisor, "the purpose of a search");
  await why.getByLabel("Case or report number").fill("BR.11.L1.4711/2026");
  await why.getByRole("button", { name: "Continue" }).click();
  await found(supervisor, first.plate);
  const swapped = first.plate.slice(0, -1) + (first.plate.endsWith("0") ? "1" : "0");
  await search(supervisor, { plate: swapped, match: "exact" });
  await supervisor.getByText("No read of your own cameras fits this plate in that time.").waitFor();
  await search(supervisor, { plate: swapped, match: "similar" });
  await found(supervisor, first.plate);
  await search(supervisor, { plate: `${first.plate.slice(0, 4)}*${first.plate.slice(-1)}`, match: "wildcard" });
  await found(supervisor, first.plate);
  await axe(supervisor, "what a search found");
  await supervisor.screenshot({ path: join(out, "plate-search.png") });
  await search(supervisor, { plate: "?*?", match: "wildcard" });
  await supervisor.getByText(/Plate: needs at least three letters or digits/).waitFor();
  await setLanguage(supervisor, "fr");
  await supervisor.screenshot({ path: join(out, "plate-search-fr.png") });
  done(
    "a search asks purpose and case, and finds exactly, one edit away and by a pattern; one that is too open is refused in words",
  );

  page = foreign;
  await foreign.getByText("No entries.").waitFor();
  await openPage(foreign, "/hits");
  await foreign.getByLabel("Which").selectOption("");
  await foreign.getByText("No hits.").waitFor();
  done("another zone's chief sees neither entries nor hits");

  page = keeper;
  for (const { plate } of [first, second]) {
    const mine = entry(keeper, plate);
    await mine.getByText("in force", { exact: true }).waitFor({ timeout: 40_000 });
    await mine.getByRole("button", { name: "End now" }).click();
    await keeper.getByLabel("Why does it end?").fill("the vehicle has been found");
    await mine.getByRole("button", { name: "End now" }).click();
    await mine.waitFor({ state: "detached" });
  }
  await keeper.getByText("No entries.").waitFor();
  done("the keeper ends both, and the list is empty");

  for (const one of desks) {
    const real = one.complaints.filter((text) => !/status of (401|403|404|409|422)/.test(text));
    if (real.length > 0) throw new Error(real.slice(0, 3).join(" | "));
  }
} catch (error) {
  await page?.screenshot({ path: join(out, "failed-watchlist.png") }).catch(() => undefined);
  process.stdout.write(`FAIL  watchlist: ${error.message}\n      picture: ${join(out, "failed-watchlist.png")}\n`);
  process.exitCode = 1;
} finally {
  await browser.close();
}
