// Log-in at an identity provider in a browser: a real provider, a real Belfry, the console between them.
//   node e2e/oidc.mjs PROGRAMS [PORT]      starts a small Belfry of its own (no cameras) and the provider, and stops both
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { env, launch, newPage, nextCode, setLanguage } from "./lib.mjs";

const programs = resolve(process.argv[2] ?? "../target/debug");
const port = Number(process.argv[3] ?? 14390);
const dir = mkdtempSync(join(tmpdir(), "belfry-oidc-"));
const url = `http://localhost:${port}`;
const children = [];
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

async function until(what, work) {
  const end = Date.now() + 60_000;
  for (;;) {
    if (await work().catch(() => false)) return;
    if (Date.now() > end) throw new Error(`waited a minute for: ${what}`);
    await new Promise((again) => setTimeout(again, 200));
  }
}

function start(program, args, stdio) {
  const child = spawn(program, args, { cwd: resolve(".."), stdio });
  children.push(child);
  return child;
}

async function control(issuer, body) {
  const answer = await fetch(`${issuer}/control`, { method: "PUT", body: JSON.stringify(body) });
  if (answer.status !== 204) throw new Error(`the provider answers ${answer.status}`);
}

async function main() {
  const helper = start("node", [resolve("e2e/provider.mjs"), `${url}/login/answer`], ["pipe", "pipe", "inherit"]);
  const line = await new Promise((told) => helper.stdout.once("data", (data) => told(String(data))));
  const { issuer, client_id, client_secret } = JSON.parse(line);

  // The accounts of the demo, without its town.
  writeFileSync(join(dir, "provider.secret"), client_secret);
  writeFileSync(join(dir, "none.csv"), readHeader());
  const config = (text) => writeFileSync(join(dir, "belfry.toml"), text);
  config(
    [
      "[paths]\nstate = 'state'\nrun = 'run'",
      `web = '${resolve("dist")}'`,
      `[http]\nbind = '127.0.0.1:${port}'\nmetrics_bind = '127.0.0.1:${port + 1}'`,
      "[recorder]\ntime = 'host'\ndisk_cap_mib = 256",
      "[ingest]\nchildren = 1",
      "[reader]\nenabled = false",
      "[gateway]\nenabled = false",
      "[identity]\ninstallation = 'demo'",
      `[identity.provider]\nname = 'the test provider'\nissuer = '${issuer}'\nclient_id = '${client_id}'`,
      "client_secret_file = 'provider.secret'\namr = ['mfa']\nhardware_amr = ['hwk']\n",
    ].join("\n"),
  );
  const setup = spawnSync(
    join(programs, "belfry"),
    ["demo", "--setup-only", "--dir", dir, "--cameras", join(dir, "none.csv")],
    { cwd: resolve(".."), encoding: "utf8" },
  );
  if (setup.status !== 0) throw new Error(`setting up: ${setup.stderr.slice(-800)}`);
  env.url = url;
  env.password = readFileSync(join(dir, "password.txt"), "utf8");
  env.totp = readFileSync(join(dir, "totp.txt"), "utf8").trim();
  start(join(programs, "belfry"), ["--config", join(dir, "belfry.toml"), "run"], ["ignore", "ignore", "ignore"]);
  await until("the console answers", async () => (await fetch(`http://127.0.0.1:${port}/api/v1/login`)).ok);

  const browser = await launch();
  const atProvider = async (page, name) => {
    await page.getByRole("button", { name: /the test provider/ }).click();
    await page.locator("input[name=login]").fill(name);
    await page.locator("button").click();
    await page.waitForURL(`${url}/**`);
  };
  const logOut = (page) =>
    page.evaluate(async () => {
      const session = await (await fetch("/api/v1/session")).json();
      await fetch("/api/v1/logout", { method: "POST", headers: { "x-csrf-token": session.csrf_token } });
    });

  await step("a person whom nobody linked gets nothing, and a clear word", async () => {
    const { page } = await newPage(browser, { locale: "en-GB" });
    await page.goto(`${url}/`);
    await page.getByRole("button", { name: "en", exact: true }).or(page.locator("button[lang=en]")).first().click();
    await atProvider(page, "operator-at-provider");
    await page.getByText(/Nobody linked an account here to you/).waitFor({ timeout: 10_000 });
    if (page.url().includes("code=")) throw new Error("the code stays in the address");
    if ((await page.context().cookies()).some((cookie) => cookie.name.includes("belfry_session")))
      throw new Error("a session");
  });
  await step("an administrator links the account in the console", async () => {
    const { page } = await newPage(browser, { locale: "en-GB" });
    env.user = "admin";
    await page.goto(`${url}/`);
    await page.locator("input[name=username]").fill("admin");
    await page.locator("input[name=password]").fill(env.password);
    await page.locator("button[type=submit]").click();
    const code = page.locator("main#second-factor input[name=code]");
    await code.fill(await nextCode("admin"));
    await page.locator("main#second-factor button[type=submit]").click();
    await page.locator("main#main").waitFor();
    await setLanguage(page, "en");
    await page.goto(`${url}/users`);
    const row = page.getByRole("row").filter({ hasText: "Control-room operator, zone 5340" });
    await row.getByRole("button").first().click();
    await page.getByLabel("Name at the test provider").fill("operator-at-provider");
    await page.locator("[role=dialog] button[type=submit]").click();
    await page.locator("[role=dialog]").waitFor({ state: "detached", timeout: 10_000 });
  });
  const { page, complaints } = await newPage(browser);
  await step("then the person logs in at the provider and is in", async () => {
    await page.goto(`${url}/`);
    await atProvider(page, "operator-at-provider");
    await page.locator("main#main").waitFor({ timeout: 10_000 });
    if (page.url().includes("code=") || page.url().includes("state="))
      throw new Error("the answer stays in the address");
    const session = await page.evaluate(async () => (await fetch("/api/v1/session")).json());
    if (session.user.user_name !== "operator") throw new Error(`in as ${session.user.user_name}`);
    if (session.fresh_until !== undefined) throw new Error("a password at the provider is no second factor");
  });
  await step("the provider's second factor counts where the configuration says so", async () => {
    await logOut(page);
    await control(issuer, { amr: ["pwd", "mfa"] });
    await page.goto(`${url}/`);
    await page.getByRole("button", { name: /the test provider/ }).click();
    // The provider's own session runs: it does not ask again.
    await page.locator("main#main").waitFor({ timeout: 10_000 });
    const session = await page.evaluate(async () => (await fetch("/api/v1/session")).json());
    if (session.fresh_until === undefined) throw new Error("it did not count");
  });
  await step("a token of another is refused in the browser too", async () => {
    await logOut(page);
    await control(issuer, { mode: "audience" });
    await page.goto(`${url}/`);
    await page.getByRole("button", { name: /the test provider/ }).click();
    await page
      .locator("p, div")
      .filter({ hasText: /identit/i })
      .first()
      .waitFor();
    await page.locator("input[name=username]").waitFor();
    if ((await page.evaluate(async () => (await fetch("/api/v1/session")).status)) !== 401)
      throw new Error("a session");
  });
  await step("the pages kept to their content security policy", async () => {
    const against = complaints.filter((text) => /content security policy|trusted type/i.test(text));
    if (against.length > 0) throw new Error(against[0]);
  });
  await browser.close();
}

/** A camera list without cameras. */
function readHeader() {
  return (
    "code,call_up,name_nl,name_fr,owner,lat,lon,url_main,url_sub,user,password,kind,retention_class," +
    "legal_basis_document,legal_basis_date,legal_basis_advice,pictogram_on\n"
  );
}

try {
  await main();
} catch (error) {
  failed += 1;
  console.log(`FAIL  ${error.message}`);
} finally {
  for (const child of children.reverse()) child.kill("SIGTERM");
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  rmSync(dir, { recursive: true, force: true });
}
process.exit(failed === 0 ? 0 : 1);
