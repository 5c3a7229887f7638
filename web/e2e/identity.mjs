// Second factors in a browser: a security key (Chromium's own software key), an app's code, and the step-up dialog.
//   node e2e/identity.mjs        the demo must run; the console is opened by the name localhost, to which keys can be bound
import { env, launch, logIn, newPage, nextCode, setLanguage, stepUp } from "./lib.mjs";

env.url = env.url.replace("127.0.0.1", "localhost");
const browser = await launch();
let failed = 0;
async function step(name, work) {
  try {
    await work();
    console.log(`ok    ${name}`);
  } catch (error) {
    failed += 1;
    console.log(`FAIL  ${name}: ${error.message.split("\n")[0]}`);
  }
}

const { page } = await newPage(browser);
const devtools = await page.context().newCDPSession(page);
await devtools.send("WebAuthn.enable");
await devtools.send("WebAuthn.addVirtualAuthenticator", {
  options: { protocol: "ctap2", transport: "usb", hasResidentKey: false, hasUserVerification: false },
});

env.user = "operator";
await step("an operator enrols a security key and keeps the recovery codes", async () => {
  await logIn(page);
  await setLanguage(page, "en");
  await page.goto(`${env.url}/account`);
  await page.getByRole("button", { name: "Add a security key" }).click();
  await page.getByText("Recovery codes", { exact: true }).waitFor({ timeout: 10_000 });
  if ((await page.locator("ul.font-mono li").count()) !== 10) throw new Error("not ten recovery codes");
  await page.getByRole("button", { name: "I have kept them" }).click();
});
await step("the next log-in asks for the key, and the key opens", async () => {
  await page.evaluate(async () => {
    const session = await (await fetch("/api/v1/session")).json();
    await fetch("/api/v1/logout", { method: "POST", headers: { "x-csrf-token": session.csrf_token } });
  });
  await page.goto(`${env.url}/`);
  await page.locator("input[name=username]").fill(env.user);
  await page.locator("input[name=password]").fill(env.password);
  await page.locator("button[type=submit]").click();
  await page.locator("main#second-factor").getByRole("button").first().click();
  await page.locator("main#main").waitFor({ timeout: 10_000 });
});

env.user = "admin";
const other = await newPage(browser);
await step("an administrator logs in with a code", async () => {
  await logIn(other.page);
  await setLanguage(other.page, "en");
});
await step("after five minutes the console asks again, and the request goes on", async () => {
  // What the server would say then; its own clock is not ours to move.
  let refused = false;
  await other.page.route("**/api/v1/session/recovery-codes", async (route) => {
    if (refused) return route.continue();
    refused = true;
    return route.fulfill({
      status: 403,
      contentType: "application/problem+json",
      body: JSON.stringify({ code: "step_up_needed", errors: [] }),
    });
  });
  await other.page.goto(`${env.url}/account`);
  await other.page.getByRole("button", { name: "Make new ones" }).click();
  await stepUp(other.page);
  await other.page.getByText("Recovery codes", { exact: true }).waitFor({ timeout: 10_000 });
});
await step("a code works once", async () => {
  const code = await nextCode(env.user);
  const tries = await other.page.evaluate(async (given) => {
    const session = await (await fetch("/api/v1/session")).json();
    const once = () =>
      fetch("/api/v1/session/step-up", {
        method: "POST",
        headers: { "content-type": "application/json", "x-csrf-token": session.csrf_token },
        body: JSON.stringify({ code: given }),
      });
    return [(await once()).status, (await once()).status];
  }, code);
  if (tries.join() !== "200,403") throw new Error(`answers ${tries.join()}`);
});
await browser.close();
process.exit(failed === 0 ? 0 : 1);
