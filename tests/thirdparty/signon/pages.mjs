// The login page in a browser that people have, by keyboard; what it looks like is kept as pictures
// in the test's folder, for somebody to look at.
import { execFileSync, spawn } from "node:child_process";
import { mkdirSync, readFileSync } from "node:fs";
import https from "node:https";
import { chromium } from "playwright-core";
import { api, ask, browserAt, check, fields, finish, has, is, issuer, sleep, tap, unescape, work } from "./station.mjs";

const shots = process.env.SHOTS;
mkdirSync(shots, { recursive: true });
const party = https.createServer({ cert: readFileSync(`${work}/rp.pem`), key: readFileSync(`${work}/rp.key`) },
    (q, a) => a.end("<!doctype html><title>rp</title><p>relying party</p>"));
await new Promise(resolve => party.listen(0, "127.0.0.1", resolve));
const browser = await chromium.launch({ executablePath: "/usr/bin/chromium",
    args: ["--no-sandbox", `--host-resolver-rules=MAP rp.example 127.0.0.1:${party.address().port}`] });

// A browser profile of its own.
async function profile(options = {}) {
    const context = await browser.newContext({ ignoreHTTPSErrors: true, viewport: { width: 900, height: 640 }, locale: "fr-FR", ...options });
    context.setDefaultTimeout(6000);
    return context;
}
async function joined(options, station = "st0") {
    const context = await profile(options);
    const page = await context.newPage();
    await page.goto(JSON.parse((await ask(`${api}/v1/station/browser`, { method: "POST", identity: station })).text).url);
    return { context, page };
}
const authorize = (more = {}) => `${issuer}/authorize?${new URLSearchParams({ client_id: "ehr", redirect_uri: "https://rp.example/callback",
    response_type: "code", scope: "openid", state: "s1", nonce: "n1", code_challenge: "A".repeat(42) + "E", code_challenge_method: "S256", ...more })}`;
const shoot = (page, name) => page.screenshot({ path: `${shots}/${name}.png` });
const stands = (page, stand) => page.waitForFunction(s => document.body.dataset.stand === s, stand);
const heard = page => page.locator("#say").textContent();
const back = page => page.waitForURL("https://rp.example/callback?**");
const answered = page => Object.fromEntries(new URL(page.url()).searchParams);

let anne, server;
// Again and again while the one before still ends (server-runs).
const starts = () => {
    server = spawn(process.env.TESSERED, ["--home", process.env.HOSPITAL], { stdio: "ignore" });
    server.once("exit", status => { if (status === 7) setTimeout(starts, 300); });
};
await check("a browser that is joined to no station is asked for its code, and waits for a badge then", async () => {
    const context = await profile();
    const page = await context.newPage();
    await page.goto(authorize());
    await shoot(page, "fr-join");
    has(await page.locator("h1").textContent(), "Quel est ce poste");
    await page.keyboard.type("XXXX-XXXX");
    await page.keyboard.press("Enter");
    await page.waitForSelector("p.refused");
    await shoot(page, "fr-join-wrong");
    const { code } = JSON.parse((await ask(`${api}/v1/station/pair`, { method: "POST", identity: "st0" })).text);
    await page.keyboard.type(code.toLowerCase());
    await page.keyboard.press("Enter");
    await stands(page, "waits");
    await shoot(page, "fr-waiting");
    has(await page.locator("main").textContent(), "urg-01");
    has(await page.locator("h1").textContent(), "Dossier patient");
    is(await page.locator("html").getAttribute("lang"), "fr");
    is(await page.locator("#say").getAttribute("aria-live"), "polite");
    anne = { context, page };
});
await check("who waits long is not told that the server is away, unless it is; back, the page waits on", async () => {
    await sleep(6000);
    has(await heard(anne.page), "En attente");
    process.kill(Number(process.env.SERVER_PID));
    await anne.page.waitForSelector("#say.refused");
    has(await heard(anne.page), "ne répond plus");
    starts();
    await anne.page.waitForSelector("#say:not(.refused)", { timeout: 30000 });
    has(await heard(anne.page), "En attente");
});
await check("a badge that is stopped is refused in words, and the page waits on", async () => {
    is((await tap("stopped")).outcome, "badge-suspended");
    await anne.page.waitForSelector("#say.refused");
    await shoot(anne.page, "fr-refused");
    has(await heard(anne.page), "suspendu");
});
await check("Anne taps: the page goes on by itself, with a code, state and iss", async () => {
    const said = await Promise.all([tap("anne"), back(anne.page)]);
    is(said[0].outcome, "ok");
    const a = answered(anne.page);
    is([a.state, a.iss, a.code.length], ["s1", issuer, 64]);
});
await check("another relying party is answered without a tap", async () => {
    await anne.page.goto(authorize({ client_id: "pharmacy" }));
    await back(anne.page);
    is(answered(anne.page).code.length, 64);
});
await check("one that wants a PIN has it asked for, in English, with the keyboard where it belongs", async () => {
    const page = anne.page;
    await page.goto(authorize({ acr_values: "urn:tessere:acr:badge+pin", ui_locales: "en" }));
    await stands(page, "waits");
    await shoot(page, "en-waiting-pin");
    is((await tap("anne")).outcome, "pin-required");
    await stands(page, "pin");
    is(await page.evaluate(() => document.activeElement.id), "digits");
    await shoot(page, "en-pin");
    await page.reload();
    await stands(page, "pin");
    is(await page.evaluate(() => document.activeElement.id), "digits");
    await page.keyboard.type("000000");
    await page.keyboard.press("Enter");
    await page.waitForSelector("#say.refused");
    await shoot(page, "en-pin-wrong");
    has(await heard(page), "Wrong PIN");
    await page.keyboard.type("135790");
    await Promise.all([page.keyboard.press("Enter"), back(page)]);
    is(answered(page).code.length, 64);
});
await check("two logins on one station: both say so, and the one that is chosen opens", async () => {
    const two = await joined({ locale: "en-GB" });
    await two.page.goto(authorize({ prompt: "login" }));
    await stands(two.page, "waits");
    await anne.page.goto(authorize({ prompt: "login", client_id: "pharmacy" }));
    await stands(anne.page, "choose");
    await shoot(anne.page, "fr-two-logins");
    is((await tap("anne")).outcome, "ok");
    await sleep(500);
    has(anne.page.url(), "/signon?");
    await two.page.reload();
    await stands(two.page, "choose");
    await shoot(two.page, "en-two-logins");
    await two.page.getByRole("button", { name: "Sign in here" }).press("Enter");
    await back(two.page);
    is(answered(two.page).code.length, 64);
    has(anne.page.url(), "/signon?");
});
await check("who goes back is told to the relying party", async () => {
    await Promise.all([anne.page.getByRole("button", { name: "Annuler" }).press("Enter"), back(anne.page)]);
    is([answered(anne.page).error, answered(anne.page).state], ["access_denied", "s1"]);
});
await check("a login that has ended says so, and can be begun again", async () => {
    await anne.page.goBack();
    await anne.page.reload();
    await shoot(anne.page, "fr-over");
    await anne.page.getByRole("link", { name: "Recommencer" }).press("Enter");
    await stands(anne.page, "waits");
    await Promise.all([anne.page.getByRole("button", { name: "Annuler" }).click(), back(anne.page)]);
});
await check("without JavaScript too a refusal is read on the page, which goes on by itself", async () => {
    const plain = await browserAt("st0");
    const first = await plain.follow(authorize({ prompt: "login" }));
    has(first.text, "<noscript><meta http-equiv=\"refresh\" content=\"3\"></noscript>");
    is(/id="say"[^>]*class="refused"/.test(first.text), false);
    const { context, page } = await joined({ javaScriptEnabled: false }, "st1");
    await page.goto(authorize({ prompt: "login" }));
    for (const station of [0, 1]) is((await tap("stopped", station)).outcome, "badge-suspended");
    const again = (await plain.go(first.url)).text;
    const said = /<p id="say"([^>]*)>([^<]*)</.exec(again);
    has(said[1], "role=\"status\" aria-live=\"polite\" aria-atomic=\"true\"");
    has(said[1], "class=\"refused\"");
    has(again, "content=\"3\"");
    await page.waitForSelector("#say.refused");
    is(unescape(said[2]), await heard(page));
    is((await heard(page)).length > 10, true);
    await shoot(page, "fr-refused-plain");
    is((await tap("anne")).outcome, "ok");
    const tapped = (await plain.go(first.url)).text;
    is([/id="say"[^>]*class="refused"/.test(tapped), tapped.includes("content=\"30\"")], [false, true]);
    await plain.post("/signon/cancel", fields(tapped, "cancel-form"));
    await Promise.all([page.getByRole("button", { name: "Annuler" }).click(), back(page)]);
    await context.close();
});
await check("without JavaScript a badge alone still opens", async () => {
    const { page } = await joined({ javaScriptEnabled: false });
    await page.goto(authorize({ prompt: "login" }));
    await shoot(page, "fr-no-script");
    is((await tap("anne")).outcome, "ok");
    const go = page.getByRole("button", { name: "Continuer" });
    await go.waitFor();
    await shoot(page, "fr-no-script-tapped");
    await Promise.all([go.click(), back(page)]);
    is(answered(page).code.length, 64);
});
await check("in the dark and on a small screen", async () => {
    const { page } = await joined({ colorScheme: "dark", viewport: { width: 390, height: 760 } });
    await page.goto(authorize({ prompt: "login", acr_values: "urn:tessere:acr:badge+pin" }));
    await stands(page, "waits");
    is((await tap("anne")).outcome, "pin-required");
    await stands(page, "pin");
    await shoot(page, "fr-dark-pin");
    await page.keyboard.type("135790");
    await Promise.all([page.keyboard.press("Enter"), back(page)]);
});
await check("the page may not be framed, and runs nothing that is not its own", async () => {
    const { page } = await joined();
    const wrong = [];
    page.on("console", m => { if (m.type() === "error") wrong.push(m.text()); });
    const answer = await page.goto(authorize({ prompt: "login" }));
    await stands(page, "waits");
    const policy = answer.headers()["content-security-policy"];
    has(policy, "default-src 'none'");
    has(policy, "frame-ancestors 'none'");
    is(wrong, []);
    const blocked = await page.evaluate(() => { const s = document.createElement("script"); s.textContent = "window.ran = 1"; document.head.append(s); return window.ran === undefined; });
    is(blocked, true);
    await page.getByRole("button", { name: "Annuler" }).click();
    await back(page);
});
await check("a request that is none is explained to whoever programs", async () => {
    const { page } = await joined();
    await page.goto(authorize({ redirect_uri: "https://rp.example/callback/" }));
    await shoot(page, "fr-bad-request");
    has(await page.locator("main").textContent(), "redirect_uri=https://rp.example/callback/)");
    await page.goto(authorize({ client_id: "erh", redirect_uri: "https://rp.example/appelez le 36 15" }));
    has(await page.locator("main").textContent(), "(client_id=erh redirect_uri=?)");
});
await check("the station's own commands give a code and an address", async () => {
    const run = word => execFileSync(process.env.TESSERE_AGENT, ["--socket", `${work}/socket0`, "--config", `${work}/agent.yaml`, ...word], { encoding: "utf8" });
    is(/^[2-9A-Z]{4}-[2-9A-Z]{4}\n$/.test(run(["pair"])), true);
    const { url } = JSON.parse(run(["--json", "browser"]));
    const context = await profile();
    const page = await context.newPage();
    await page.goto(url);
    await shoot(page, "fr-joined");
    has(await page.locator("main").textContent(), "urg-01");
    is(page.url(), `${issuer}/signon/station`);
    has(run(["pair"]), "-");
});
await check("a database that takes nothing for a while is told, and a button asks again", async () => {
    const { page } = await joined();
    const writer = spawn("python3", ["-c", `import sqlite3, time
db = sqlite3.connect("${process.env.HOSPITAL}/store.db", isolation_level=None, timeout=20)
db.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
time.sleep(60)`]);
    await new Promise(resolve => writer.stdout.once("data", resolve));
    await page.goto(authorize({ prompt: "login" }), { timeout: 20000 });
    await shoot(page, "fr-unavailable");
    has(await page.locator("main").textContent(), "Service indisponible");
    writer.kill();
    await new Promise(resolve => writer.once("exit", resolve));
    await page.getByRole("link", { name: "Recommencer" }).press("Enter");
    await stands(page, "waits");
    await Promise.all([page.getByRole("button", { name: "Annuler" }).click(), back(page)]);
});
await check("PINs that are guessed on two stations lock the person's PIN, and not a station's", async () => {
    const there = await Promise.all([joined({ locale: "en-GB" }, "st0"), joined({ locale: "en-GB" }, "st1")]);
    for (let i = 0; i < 5; i++) {
        const { page } = there[i % 2];
        await page.goto(authorize({ client_id: "pharmacy", prompt: "login", acr_values: "urn:tessere:acr:badge+pin" }));
        await stands(page, "waits");
        is((await tap("anne", i % 2)).outcome, "pin-required");
        await stands(page, "pin");
        await page.keyboard.type("111111");
        await page.keyboard.press("Enter");
        await page.waitForSelector("#say.refused");
        if (i < 4) has(await heard(page), "Wrong PIN");
    }
    await there[1].page.goto(authorize({ client_id: "pharmacy", prompt: "login", acr_values: "urn:tessere:acr:badge+pin" }));
    await stands(there[1].page, "waits");
    is((await tap("anne", 1)).outcome, "pin-locked");
    await there[1].page.waitForSelector("#say.refused");
    await shoot(there[1].page, "en-pin-locked");
    has(await heard(there[1].page), "PIN locked");
});
await check("the journal shows who signed on where, and that a revoked badge's session ended with it", async () => {
    const listed = (...asked) => execFileSync(process.env.TESSERE, ["--home", process.env.HOSPITAL, "journal", "list", ...asked], { encoding: "utf8" });
    const { page } = await joined({}, "st1");
    await page.goto(authorize({ prompt: "login" }));
    await stands(page, "choose"); // beside the one that the last test left
    await page.getByRole("button", { name: "Me connecter ici" }).press("Enter");
    await stands(page, "waits");
    await Promise.all([tap("anne", 1), back(page)]);
    is(/ signon .* urg-02 .* 1 .*10001 .*anne .*"party":"ehr"/.test(listed("--kind", "signon", "--station", "2").trim().split("\n").pop()), true);
    is((await ask(`${api}/v1/badges/1/revoke`, { method: "POST", identity: "alice", body: "{\"reason\":\"lost\"}", headers: { "Content-Type": "application/json" } })).status, 200);
    const { entries } = JSON.parse(listed("--badge", "1", "--kind", "revoke,signoff", "--json"));
    const revoked = entries.find(e => e.kind === "revoke");
    const ended = entries.filter(e => e.kind === "signoff" && e.request === revoked.request);
    is([ended.length > 0, ended.some(e => e.station === 2), ended.every(e => e.detail.reason === "badge")], [true, true, true]);
    await sleep(1500); // until a checkpoint has them
    has(execFileSync(process.env.TESSERE, ["--home", process.env.HOSPITAL, "journal", "prove", String(revoked.entry)], { encoding: "utf8" }), `index ${revoked.entry}`);
});
await browser.close();
party.close();
server?.kill();
finish();
