// The station's side: its agent's socket shows what waits, and says what the person chose.
import * as oidc from "openid-client";
import { spawn } from "node:child_process";
import { openSync, readFileSync, writeFileSync } from "node:fs";
import { ask, browserAt, check, fields, finish, form, has, is, issuer, sleep, tap, work } from "./station.mjs";

const secret = process.env.SECRET;
const rp = await oidc.discovery(new URL(issuer), "prescriptions", {}, oidc.ClientSecretBasic(secret));
const ehr = await oidc.discovery(new URL(issuer), "ehr", {}, oidc.ClientSecretBasic(secret));
const text = "10 mg morphine, room 12";
const begin = (more = {}) => oidc.initiateBackchannelAuthentication(rp,
    { scope: "openid", login_hint: "10001", binding_message: text, station: "urg-01", ...more });
const look = async id => {
    const a = await ask(`${issuer}/token`, { method: "POST", headers: { Authorization: `Basic ${btoa(`prescriptions:${secret}`)}` },
        body: form({ grant_type: "urn:openid:params:grant-type:ciba", auth_req_id: id }) });
    return a.status === 200 ? "ok" : JSON.parse(a.text).error;
};

// A program on the socket of a station's agent.
class Program {
    heard = [];
    constructor(station = 0) {
        this.p = spawn("/usr/bin/python3", [`${work}/agent_socket.py`, `${work}/socket${station}`], { stdio: ["pipe", "pipe", "inherit"] });
        let rest = "";
        this.p.stdout.on("data", part => {
            const lines = (rest + part).split("\n");
            rest = lines.pop();
            this.heard.push(...lines.map(l => JSON.parse(l)));
        });
    }
    say(message) {
        this.p.stdin.write((typeof message === "string" ? message : JSON.stringify(message)) + "\n");
        return this;
    }
    // The first answer that fits; the others are kept.
    async hears(what, seconds = 10) {
        for (let i = 0; i < seconds * 50; i++) {
            const at = this.heard.findIndex(what);
            if (at >= 0) return this.heard.splice(at, 1)[0];
            await sleep(20);
        }
        throw new Error(`not heard; but ${JSON.stringify(this.heard)}`);
    }
    says = word => this.hears(a => a.answer === word);
    shows = name => this.hears(a => a.answer === "challenges" && a.items.some(c => c.challenge === name)).then(a => a.items.find(c => c.challenge === name));
    end() {
        this.p.kill();
    }
}
const until = async (what, seconds = 30) => {
    for (let i = 0; i < seconds * 10; i++) {
        if (await what()) return;
        await sleep(100);
    }
    throw new Error("it never came");
};
const leave = async () => {
    const p = new Program().say({ do: "leave" });
    await p.says("left");
    p.end();
};
const subscribed = async (station = 0) => {
    const p = new Program(station).say({ do: "challenges" });
    await p.hears(a => a.answer === "challenges" && a.server);
    return p;
};

await check("what waits is shown on the agent's socket, and chosen there; a tap answers it", async () => {
    const p = await subscribed();
    const asked = await begin();
    const shown = await p.shows(asked.auth_req_id);
    is([shown.party, shown.text, shown.needs_pin, shown.is_chosen, shown.is_offered], ["prescriptions", text, false, false, false]);
    p.say({ do: "choose", challenge: asked.auth_req_id });
    is((await p.says("chosen")).challenge, asked.auth_req_id);
    await p.hears(a => a.answer === "challenges" && a.items.some(c => c.challenge === asked.auth_req_id && c.is_chosen));
    is((await tap("bruno")).outcome, "ok");
    is((await p.says("outcome")).answers, false);
    is((await tap("anne")).outcome, "ok");
    const outcome = await p.says("outcome");
    is([outcome.answers, outcome.assertion, outcome.subject], [true, undefined, undefined]);
    is(await look(asked.auth_req_id), "ok");
    p.end();
});
await check("what the person will not is refused there", async () => {
    const p = await subscribed();
    const asked = await begin();
    await p.shows(asked.auth_req_id);
    p.say({ do: "refuse", challenge: asked.auth_req_id });
    await p.says("refused");
    is(await look(asked.auth_req_id), "access_denied");
    p.say({ do: "choose", challenge: asked.auth_req_id });
    is((await p.says("error")).code, "challenge-over");
    p.end();
});
await check("the PIN for it is asked of the program that chose", async () => {
    const p = await subscribed();
    const asked = await begin({ acr_values: "urn:tessere:acr:badge+pin" });
    is((await p.shows(asked.auth_req_id)).needs_pin, true);
    p.say({ do: "choose", challenge: asked.auth_req_id });
    await p.says("chosen");
    const done = tap("anne");
    await p.says("pin");
    p.say("PIN 111111");
    await p.says("pin");
    p.say("PIN 135790");
    is((await p.says("outcome")).answers, true);
    is((await done).outcome, "ok");
    is(await look(asked.auth_req_id), "ok");
    p.end();
});
await check("without a station it is offered where the person taps, and chosen there", async () => {
    await leave(); // where the person is signed in, it would be there
    const p = await subscribed(1);
    const asked = await begin({ station: "" });
    is((await tap("anne", 1)).outcome, "ok");
    is((await p.shows(asked.auth_req_id)).is_offered, true);
    p.say({ do: "refuse", challenge: asked.auth_req_id });
    is((await p.says("error")).code, "challenge-other");
    p.say({ do: "choose", challenge: asked.auth_req_id });
    await p.says("chosen");
    is((await tap("anne", 1)).outcome, "ok");
    is((await p.says("outcome")).answers, true);
    is(await look(asked.auth_req_id), "ok");
    p.end();
});
await check("what waits on another station is not shown, nor chosen", async () => {
    const p = await subscribed(1);
    const asked = await begin();
    p.say({ do: "choose", challenge: asked.auth_req_id });
    is((await p.says("error")).code, "challenge-other");
    is(p.heard.filter(a => a.items?.length), []);
    p.end();
    const there = new Program().say({ do: "refuse", challenge: asked.auth_req_id });
    await there.says("refused");
    there.end();
});
await check("whoever leaves has no session any more", async () => {
    const redirect_uri = "https://rp.example/callback";
    const url = async (more = {}) => oidc.buildAuthorizationUrl(ehr, { redirect_uri, scope: "openid", state: oidc.randomState(),
        code_challenge: await oidc.calculatePKCECodeChallenge(oidc.randomPKCECodeVerifier()), code_challenge_method: "S256", ...more });
    const b = await browserAt("st0");
    const page = await b.follow(await url());
    is((await tap("anne")).outcome, "ok");
    await b.hears(page.text, "tapped");
    has((await b.post("/signon/finish", fields(page.text, "finish-form"))).location, "code=");
    has((await b.follow(await url({ prompt: "none" }))).location, "code=");
    await leave();
    has((await b.follow(await url({ prompt: "none" }))).location, "error=login_required");
});

// --- people ---------------------------------------------------------------------------------------

// A program that a person types at: what it shows, as it comes.
class Typed {
    shown = "";
    constructor(command, args, env = {}) {
        this.p = spawn(command, args, { stdio: ["pipe", "pipe", "pipe"], env: { ...process.env, ...env } });
        this.ended = new Promise(resolve => this.p.on("exit", resolve));
        for (const from of [this.p.stdout, this.p.stderr]) from.on("data", part => { this.shown += part; });
    }
    async sees(part) {
        for (let i = 0; i < 500; i++) {
            const at = this.shown.indexOf(part);
            if (at >= 0) {
                const before = this.shown.slice(0, at);
                this.shown = this.shown.slice(at + part.length);
                return before;
            }
            await sleep(20);
        }
        throw new Error(`no ${part} in: ${this.shown}`);
    }
    types(line) {
        this.p.stdin.write(line + "\n");
    }
}
const confirm = language => new Typed(process.env.TESSERE_AGENT, ["--state", work, "--socket", `${work}/socket0`, "--language", language, "confirm"],
    { TESSERE_LOCALEDIR: process.env.FRENCH });
await check("tessere-agent confirm shows it, takes choice and PIN, and says the outcome", async () => {
    const asked = await begin({ acr_values: "urn:tessere:acr:badge+pin" });
    const p = confirm("en");
    await p.sees("prescriptions asks:");
    await p.sees(text);
    await p.sees("A PIN is needed for it.");
    await p.sees("c: choose it, r: refuse it");
    p.types("c");
    await p.sees("Tap your badge.");
    const done = tap("anne");
    await p.sees("Tapez votre code.");
    p.types("135790");
    await p.sees("Confirmed.");
    is((await done).outcome, "ok");
    is(await look(asked.auth_req_id), "ok");
    p.types("q");
    is(await p.ended, 0);
    is(p.shown.includes("135790"), false);
});
await check("in French, one after the other: later, refused, somebody else's badge", async () => {
    const first = await begin({ binding_message: "ordonnance 1" });
    const second = await begin({ binding_message: "ordonnance 2" });
    const p = confirm("fr");
    await p.sees("ordonnance 1");
    await p.sees("r : refuser");
    p.types("");
    await p.sees("ordonnance 2");
    p.types("r");
    const before = await p.sees("Refusé."); // the list without it may come before the answer
    if (!before.includes("Rien n'attend de badge.")) await p.sees("Rien n'attend de badge.");
    is(await look(second.auth_req_id), "access_denied");
    p.types("q");
    const q = confirm("fr");
    await q.sees("ordonnance 1");
    q.types("c");
    await q.sees("Présentez votre badge.");
    await tap("bruno");
    await q.sees("Ce badge n'y répond pas.");
    await tap("anne");
    await q.sees("Confirmé.");
    is(await look(first.auth_req_id), "ok");
    q.types("q");
});
await check("at a terminal the PIN is not shown as it is typed", async () => {
    const asked = await begin({ acr_values: "urn:tessere:acr:badge+pin" });
    const p = new Typed("/usr/bin/python3", [process.env.TERMINAL, process.env.TESSERE_AGENT, "--state", work, "--socket", `${work}/socket0`,
        "--language", "en", "confirm", "--", "?c: choose", "c", "?Tap your badge", "?Tapez votre code", "135790", "?Confirmed", "q"]);
    await p.sees("Tap your badge.");
    is((await tap("anne")).outcome, "ok");
    const after = await p.sees("Confirmed.");
    is(after.includes("135790"), false);
    is(await p.ended, 0);
    is(await look(asked.auth_req_id), "ok");
});
await check("what expires or is taken elsewhere while it is shown is shown no more", async () => {
    const asked = await begin();
    const p = confirm("en");
    await p.sees(text);
    const other = new Program().say({ do: "refuse", challenge: asked.auth_req_id });
    await other.says("refused");
    other.end();
    await p.sees("It does not wait any more.");
    p.types("q");
});
await check("the desktop's example shows, chooses and says the outcome", async () => {
    const asked = await begin();
    for (const [name, code] of [["zenity", "echo \"zenity $*\" >>\"$SAID\"; case $* in *--question*) exit 0;; esac"], ["notify-send", "echo \"notify $*\" >>\"$SAID\""]])
        writeFileSync(`${work}/${name}`, `#!/bin/sh\n${code}\n`, { mode: 0o755 });
    const said = `${work}/said`;
    const p = new Typed(process.env.DESKTOP, [`${work}/socket0`], { PATH: `${work}:${process.env.PATH}`, SAID: said });
    const told = () => { try { return readFileSync(said, "utf8"); } catch { return ""; } };
    await until(() => told().includes("notify "));
    has(told(), text);
    await tap("anne");
    await until(() => told().split("\n").filter(l => l.startsWith("notify ")).length >= 2);
    is(await look(asked.auth_req_id), "ok");
    p.p.kill();
});

// --- what dies meanwhile -------------------------------------------------------------------------

await check("the server is restarted while a program is subscribed: the list goes and comes back", async () => {
    const p = await subscribed();
    const asked = await begin({ requested_expiry: "300" });
    await p.shows(asked.auth_req_id);
    process.kill(Number(process.env.SERVER_PID), "SIGKILL");
    await p.hears(a => a.answer === "challenges" && !a.server);
    const log = openSync(`${work}/server2.log`, "w");
    globalThis.server = spawn(process.env.TESSERED, ["--home", process.env.HOSPITAL], { stdio: ["ignore", log, log] });
    await until(() => readFileSync(`${work}/server2.log`, "utf8").includes("ready"));
    const back = await p.hears(a => a.answer === "challenges" && a.server, 60);
    is(back.items.map(c => c.challenge), [asked.auth_req_id]);
    p.say({ do: "choose", challenge: asked.auth_req_id });
    await p.says("chosen");
    await until(async () => (await tap("anne")).outcome === "ok", 60);
    await p.hears(a => a.answer === "outcome" && a.answers);
    is(await look(asked.auth_req_id), "ok");
    p.end();
});
await check("who may open the socket does not use up what the station may ask, and keeps nobody from their turn", async () => {
    const flood = async what => {
        const crowd = Array.from({ length: 6 }, () => new Program());
        let count = 0;
        const end = Date.now() + 3000;
        await Promise.all(crowd.map(async p => {
            while (Date.now() < end) {
                p.say({ do: what }).say({ do: what });
                await p.hears(a => ["browser", "left"].includes(a.answer), 20).then(() => count++, () => {});
                await sleep(110); // under what ends a connection
            }
        }));
        const mine = new Program().say({ do: what });
        await mine.hears(a => ["browser", "left"].includes(a.answer), 10);
        for (const p of [...crowd, mine]) p.end();
        return count;
    };
    const joins = await flood("browser"), deeds = await flood("leave");
    is([joins <= 16, deeds <= 45], [true, true], `${joins} joins, ${deeds} deeds`);
});
await check("the agent is killed while a program is subscribed: what was chosen stays chosen", async () => {
    const p = await subscribed();
    const asked = await begin({ requested_expiry: "300" });
    await p.shows(asked.auth_req_id);
    p.say({ do: "choose", challenge: asked.auth_req_id });
    await p.says("chosen");
    process.kill(Number(process.env.AGENT_PID), "SIGKILL");
    await p.says("gone");
    const out = openSync(`${work}/agent0.out`, "a"), log = openSync(`${work}/agent0.again`, "w");
    globalThis.agent = spawn(process.env.TESSERE_AGENT, ["--state", `${work}/st0.d`, "--reader", "Tessere 00 00*", "--socket", `${work}/socket0`, "--json", "run"], { stdio: ["ignore", out, log] });
    await until(() => readFileSync(`${work}/agent0.again`, "utf8").includes("ready"));
    const again = await subscribed();
    is((await tap("anne")).outcome, "ok");
    is(await look(asked.auth_req_id), "ok");
    again.end();
});
globalThis.agent?.kill();
globalThis.server?.kill();
await sleep(1000);
finish();
