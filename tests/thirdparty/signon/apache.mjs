// Apache's mod_auth_openidc as a relying party.
import { chromium } from "playwright-core";
import { api, ask, check, finish, form, is, issuer, sleep, tap } from "./station.mjs";
import { reinstate, suspend, Visitor } from "./visitor.mjs";

const app = process.env.APP;
const v = await Visitor.at("st0");
const where = a => a.location ?? `${a.status} ${a.text}`;
const isOut = async () => where(await v.go(`${app}/`)).startsWith(`${issuer}/authorize`);
// Milliseconds until Apache asks for a badge again.
async function ends() {
    const begun = performance.now();
    while (!await isOut()) {
        if (performance.now() - begun > 10000) throw new Error("Apache's session goes on");
        await sleep(20);
    }
    console.log(`# ${Math.round(performance.now() - begun)} ms`);
}
const signIn = async image => v.taps(await v.follow(`${app}/`), image);

await check("Apache asks for a badge, with PKCE S256", async () => {
    const asked = new URL((await v.go(`${app}/`)).location).searchParams;
    is([asked.get("code_challenge_method"), asked.get("client_id"), asked.get("scope")], ["S256", "app", "openid profile"]);
});
await check("after a tap the application has the staff reference, the name and what was done", async () => {
    const a = await signIn("anne");
    is([a.status, a.url, a.headers["x-user"], a.headers["x-name"], a.headers["x-acr"]], [200, `${app}/`, "10001", "anne", "urn:tessere:acr:badge"], a.text);
    is((await v.go(`${app}/wards/`)).headers["x-user"], "10001");
});
await check("a badge alone does not open what wants a PIN: in Chromium it is asked for, typed, and the page is there", async () => {
    is(new URL(where(await v.go(`${app}/pharmacy/`))).searchParams.get("acr_values"), "urn:tessere:acr:badge+pin");
    const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox"] });
    const page = await (await browser.newContext({ ignoreHTTPSErrors: true })).newPage();
    const stands = stand => page.waitForFunction(s => document.body.dataset.stand === s, stand, { timeout: 6000 });
    const arrives = path => page.waitForResponse(r => r.url() === app + path && r.status() === 200, { timeout: 6000 });
    await page.goto(JSON.parse((await ask(`${api}/v1/station/browser`, { method: "POST", identity: "st0" })).text).url);
    await page.goto(`${app}/`);
    await stands("waits");
    const [first] = await Promise.all([arrives("/"), tap("anne")]);
    is(first.headers()["x-acr"], "urn:tessere:acr:badge");
    await page.goto(`${app}/pharmacy/`);
    await stands("waits");
    is((await tap("anne")).outcome, "pin-required");
    await stands("pin");
    await page.keyboard.type("135790");
    const [then] = await Promise.all([arrives("/pharmacy/"), page.keyboard.press("Enter")]);
    is([then.headers()["x-user"], then.headers()["x-acr"]], ["10001", "urn:tessere:acr:badge+pin"]);
    await browser.close();
});
await check("the badge is suspended: Apache is told, and its session ends", async () => {
    is(await isOut(), false);
    is((await suspend(1)).status, 200);
    await ends();
    is((await reinstate(1)).status, 200);
});
await check("the next person's tap ends it, and that person is in at once", async () => {
    await signIn("anne");
    is((await tap("bruno")).outcome, "ok");
    await ends();
    is((await signIn("bruno")).headers["x-user"], "10002");
});
await check("a logout at Apache ends our session as well", async () => {
    const a = await v.follow(`${app}/badge?${form({ logout: `${app}/bye` })}`);
    is([a.status, a.url], [200, `${app}/bye`], a.text);
    is((await v.follow(`${app}/`)).url.startsWith(`${issuer}/`), true);
});
await check("a logout that we did not sign ends nothing", async () => {
    await signIn("anne");
    const part = o => Buffer.from(JSON.stringify(o)).toString("base64url");
    const now = Math.floor(Date.now() / 1000);
    const token = `${part({ alg: "none" })}.${part({ iss: issuer, aud: "app", sub: "10001", iat: now, exp: now + 60, jti: "x", events: { "http://schemas.openid.net/event/backchannel-logout": {} } })}.`;
    is((await ask(`${app}/badge?logout=backchannel`, { method: "POST", body: form({ logout_token: token }) })).status, 400);
    is(await isOut(), false);
});
finish();
