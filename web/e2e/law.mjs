// Legal fields of a live camera change by two people, in a real browser:  node e2e/law.mjs [DIRECTORY for pictures]
// The technician proposes, may not approve, the chief reads the difference and approves, the overseer reads it afterwards.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { api, axe, cameras, desk, launch, openPage } from "./lib.mjs";

const out = process.argv[2] ?? "e2e/out";
const DOCUMENT = `Council decision ${new Date().toISOString().slice(0, 19)}`;
mkdirSync(out, { recursive: true });
const browser = await launch();

/** Somebody's desk at the register of cameras. */
async function register(user) {
  const mine = await desk(browser, user);
  await openPage(mine.page, "/cameras");
  return mine;
}

/** Opens a camera of the register, and gives its detail back. */
async function detail(page, code) {
  await page.locator("tbody button", { hasText: code }).first().click();
  const aside = page.getByLabel("Camera in detail");
  await aside.waitFor();
  return aside;
}

const done = (text) => process.stdout.write(`ok    law: ${text}\n`);
let page;
try {
  const technician = await register("techniek");
  page = technician.page;
  const camera = (await cameras(page)).find((one) => one.state === "live" && one.may.propose_law);
  if (camera === undefined) throw new Error("no live camera whose legal fields the technician may propose to change");
  let aside = await detail(page, camera.code);
  await aside.getByRole("button", { name: "Propose new legal fields" }).click();
  await aside.getByLabel("Legal basis: document").fill(DOCUMENT);
  await aside.getByLabel("Reason").fill("the council has decided anew, see the annex");
  await axe(page, "the proposal");
  await page.screenshot({ path: join(out, "law-proposal.png") });
  await aside.getByRole("button", { name: "Send proposal" }).click();
  await aside.getByText("waits for a second person").waitFor();
  if ((await aside.getByRole("button", { name: "Approve", exact: true }).count()) > 0) {
    throw new Error("the proposer is offered to approve");
  }
  done("the technician's proposal waits, and approving it is not offered");
  await aside.getByRole("button", { name: "Propose new legal fields" }).click();
  await aside.getByLabel("Legal basis: document").fill(`${DOCUMENT} bis`);
  await aside.getByLabel("Reason").fill("a second wish for the same camera");
  await aside.getByRole("button", { name: "Send proposal" }).click();
  await aside.getByText("A proposal for this camera waits already").waitFor();
  done("a second proposal for the same camera is refused in words");

  const chief = await register("chef");
  page = chief.page;
  await page.getByRole("button", { name: /Proposals waiting: [1-9]/ }).click();
  const change = page.getByRole("dialog").getByRole("article", { name: camera.code });
  await change
    .getByRole("row", { name: /Legal basis: document/ })
    .getByText(DOCUMENT)
    .waitFor();
  await axe(page, "the waiting proposals");
  await page.screenshot({ path: join(out, "law-waiting.png") });
  await change.getByRole("button", { name: "Approve", exact: true }).click();
  await change.waitFor({ state: "detached" });
  await page.getByRole("dialog").getByRole("button", { name: "Close" }).click();
  const { body } = await api(page, "GET", `/cameras/${camera.id}`);
  if (body.legal_basis.document !== DOCUMENT || body.state !== "live") {
    throw new Error(`after the approval: ${body.legal_basis.document}, ${body.state}`);
  }
  done("the chief reads the difference and approves; the camera stays live");

  const overseer = await register("toezicht");
  page = overseer.page;
  aside = await detail(page, camera.code);
  await aside.getByText("approved", { exact: true }).waitFor();
  await aside.getByText(DOCUMENT).first().waitFor();
  if ((await aside.getByRole("button").count()) > 1) throw new Error("the overseer is offered to change something");
  await axe(page, "the register of the overseer");
  await page.screenshot({ path: join(out, "law-overseer.png") });
  done("the overseer reads the change, and can change nothing");

  for (const one of [technician, chief, overseer]) {
    const real = one.complaints.filter((text) => !/status of (401|403|404|409|422)/.test(text));
    if (real.length > 0) throw new Error(real.slice(0, 3).join(" | "));
  }
} catch (error) {
  await page?.screenshot({ path: join(out, "failed-law.png") }).catch(() => undefined);
  process.stdout.write(`FAIL  law: ${error.message}\n      picture: ${join(out, "failed-law.png")}\n`);
  process.exitCode = 1;
} finally {
  await browser.close();
}
