// A person decides findings, in a real browser against the demo with a second person:  node e2e/findings.mjs [DIRECTORY for pictures]
// Two pictures, the registry's answer, rule and reasons; approve, reject with a reason, unclear, take back; a second person for the sample. Then the
// queues of the sanctioning official and of average speed.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { api, axe, desk, launch, openPage, until } from "./lib.mjs";

const out = process.argv[2] ?? "e2e/out";
mkdirSync(out, { recursive: true });
const browser = await launch();
const done = (text) => process.stdout.write(`ok    findings: ${text}\n`);
const desks = [];
async function queue(user) {
  const mine = await desk(browser, user);
  desks.push(mine);
  await openPage(mine.page, "/findings");
  return mine.page;
}

const show = (page, state) => page.getByLabel("State", { exact: true }).selectOption(state);
const shown = (page) => page.locator("article[data-finding]");

/** Opens one finding of the list. */
async function open(page, one) {
  await page.locator("main li button").filter({ hasText: one.plate }).first().click();
  await page.locator(`article[data-finding="${one.id}"]`).waitFor();
}

/** After a decision the next finding comes up by itself. */
const moved = (page, one) => page.locator(`article[data-finding]:not([data-finding="${one.id}"])`).waitFor();

/** Waits until the list has, or has not, a finding; by what the server says of its state. */
async function state(page, one, wanted) {
  await until(
    page,
    `${one.id} is ${wanted}`,
    async ([id, word]) => (await (await fetch(`/api/v1/findings/${id}`)).json()).state === word,
    [one.id, wanted],
  );
}

async function pictures(page, count) {
  await until(
    page,
    `${count} pictures`,
    (wanted) => {
      const all = [...document.querySelectorAll("article[data-finding] img")];
      return all.length >= wanted && all.every((image) => image.complete && image.naturalWidth > 0);
    },
    count,
  );
}

/** Takes the own decision back, with its reason. */
async function undo(page, text) {
  await page.getByRole("button", { name: "Take my decision back" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByRole("button", { name: "Take my decision back" }).click();
  await dialog.getByText("Say why in a few words.").waitFor();
  await dialog.getByLabel("Why the decision was wrong").fill(text);
  await page.keyboard.press("Enter");
  await dialog.waitFor({ state: "detached" });
}

let page;
try {
  const agent = await queue("lez");
  page = agent;
  await shown(agent).waitFor({ timeout: 60_000 });
  const { body } = await api(agent, "GET", "/findings?state=open&limit=500");
  const fresh = body.items.filter((one) => one.decided_by === null);
  const known = fresh.filter((one) => one.registry?.state === "found" && one.verdict !== "undetermined");
  const [approved, rejected, unclear] = [...known, ...fresh.filter((one) => !known.includes(one))];
  if (unclear === undefined || known.length < 1) throw new Error(`too few findings: ${body.items.length}`);

  await open(agent, approved);
  await pictures(agent, 2);
  const detail = await shown(agent).innerText();
  for (const words of ["Why the rules say so", "rule bank", "Answer of the authentic source", "First registration"]) {
    if (!detail.includes(words)) throw new Error(`the finding does not say: ${words}`);
  }
  await axe(agent, "a finding");
  await agent.screenshot({ path: join(out, "finding-open.png") });
  done("two pictures, the registry's answer, the rule and its reasons");

  await agent.keyboard.press("1");
  await moved(agent, approved);
  await open(agent, approved);
  await agent.getByText("You approved this one. It is one of the sample").waitFor();
  if ((await agent.getByRole("button", { name: /Approve/ }).count()) > 0) {
    throw new Error("whoever approved it is offered to be the second person");
  }
  await undo(agent, "the wrong key was pressed");
  await moved(agent, approved);
  await open(agent, approved);
  await agent.getByText("You approved this one.").waitFor({ state: "detached" });
  await agent.getByRole("button", { name: /Approve/ }).click();
  await moved(agent, approved);
  await open(agent, approved);
  await agent.getByText("You approved this one.").waitFor();
  await agent.screenshot({ path: join(out, "finding-second-mine.png") });
  done("an approval waits for another person, and can be taken back meanwhile");

  const second = await queue("lez2");
  page = second;
  await open(second, approved);
  await second.getByText("Somebody approved this one.").waitFor();
  await pictures(second, 2);
  await second.screenshot({ path: join(out, "finding-second.png") });
  await second.getByRole("button", { name: /Approve/ }).click();
  await state(second, approved, "approved");
  await show(second, "approved");
  await open(second, approved);
  await second.getByText("Approved by you on").waitFor();
  done("the second person approves, and it is approved");
  page = agent;
  await show(agent, "approved");
  await open(agent, approved);
  await agent.getByText("Approved by another person on").waitFor();
  if ((await agent.getByRole("button", { name: "Take my decision back" }).count()) > 0) {
    throw new Error("somebody else's decision can be taken back");
  }
  page = second;
  await undo(second, "seen too late: the plate is dirty");
  await state(second, approved, "open");
  done("who approved last takes it back, and nobody else");

  page = agent;
  await show(agent, "open");
  await open(agent, rejected);
  await agent.keyboard.press("2");
  const dialog = agent.getByRole("dialog");
  await dialog.getByLabel("Reason").selectOption("other");
  await dialog.getByRole("button", { name: "Reject" }).click();
  await dialog.getByText("Say why in a few words.").waitFor();
  await axe(agent, "the reason of a rejection");
  await dialog.getByLabel("In your own words").fill("the vehicle is on a lorry");
  await agent.keyboard.press("Enter");
  await state(agent, rejected, "rejected");
  await show(agent, "rejected");
  await open(agent, rejected);
  await agent.getByText("Another reason: the vehicle is on a lorry").waitFor();
  await agent.screenshot({ path: join(out, "finding-rejected.png") });
  await undo(agent, "another vehicle was meant");
  await state(agent, rejected, "open");
  done("a rejection asks a reason, shows it in words, and can be taken back");

  await show(agent, "open");
  await open(agent, unclear);
  await agent.keyboard.press("3");
  await state(agent, unclear, "unclear");
  await show(agent, "unclear");
  await open(agent, unclear);
  await agent.getByRole("button", { name: /Reject/ }).click();
  await dialog.getByLabel("Reason").selectOption("picture_unusable");
  await dialog.getByRole("button", { name: "Reject" }).click();
  await state(agent, unclear, "rejected");
  done("what is unclear waits apart, and is decided from there");

  const official = await queue("gas");
  page = official;
  await shown(official).waitFor({ timeout: 60_000 });
  await pictures(official, 2);
  await shown(official).getByText("No right to pass is known.").waitFor();
  await axe(official, "a finding of restricted access");
  await official.screenshot({ path: join(out, "finding-zone.png") });
  const verifier = await queue("snelheid");
  page = verifier;
  await shown(verifier).waitFor({ timeout: 90_000 });
  await pictures(verifier, 4);
  for (const words of ["Certified distance", "After the margin", "Limit"])
    await verifier.locator("dt", { hasText: words }).waitFor();
  await axe(verifier, "a finding of average speed");
  await verifier.screenshot({ path: join(out, "finding-speed.png") });
  done("the sanctioning official and the verifier of average speed each see their own, with both ends of a run");

  for (const one of desks) {
    const real = one.complaints.filter((text) => !/status of (401|403|404|409|422)/.test(text));
    if (real.length > 0) throw new Error(real.slice(0, 3).join(" | "));
  }
} catch (error) {
  await page?.screenshot({ path: join(out, "failed-findings.png") }).catch(() => undefined);
  process.stdout.write(`FAIL  findings: ${error.message}\n      picture: ${join(out, "failed-findings.png")}\n`);
  process.exitCode = 1;
} finally {
  await browser.close();
}
