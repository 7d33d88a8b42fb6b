// docs/integration/ciba.md, as it is written: its client, its requests, and the ping.
import https from "node:https";
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { readFileSync, writeFileSync } from "node:fs";
import { createHash } from "node:crypto";
import { ask, check, finish, has, is, issuer, sleep, tap, work } from "./station.mjs";

const { CLIENTS, HOSPITAL, PAGES, PAGE_BLOCK, RUNG_PORT, SECRET, SERVER_CERT, SERVER_KEY, SERVER_PID } = process.env;
const run = promisify(execFile);
const block = async name => (await run(PAGE_BLOCK, [`${PAGES}/ciba.md`, name])).stdout;
const shell = async (name, more = {}) => JSON.parse((await run("sh", ["-c", await block(name)],
    { env: { ...process.env, CA: `${HOSPITAL}/pki/ca.pem`, PING_TOKEN: "aWorthyWord.42", ...more } })).stdout);
const choose = id => ask(`${process.env.API}/v1/station/challenges/${id}/choose`, { method: "POST", identity: "st0", body: "{}", headers: { "Content-Type": "application/json" } });

const pings = [];
let answers = 204;
https.createServer({ cert: readFileSync(SERVER_CERT), key: readFileSync(SERVER_KEY) }, (request, response) => {
    let body = "";
    request.on("data", part => { body += part; });
    request.on("end", () => {
        pings.push({ method: request.method, url: request.url, authorization: request.headers.authorization, type: request.headers["content-type"], body });
        response.writeHead(answers).end();
    });
}).listen(Number(RUNG_PORT), "localhost");
const pinged = async count => {
    for (let i = 0; i < 100 && pings.length < count; i++) await sleep(100);
    if (pings.length < count) throw new Error(`${pings.length} pings`);
    return pings[count - 1];
};

await check("the page's client is taken up", async () => {
    const digest = createHash("sha256").update(SECRET).digest("hex");
    const own = readFileSync(CLIENTS, "utf8").replace(/ {2}- id: prescriptions\n( {4}.*\n)*/, "");
    const entry = (await block("client")).replace("clients:\n", "").replace("DIGEST", digest).replace("https://prescriptions.hospital.example", `https://localhost:${RUNG_PORT}`);
    writeFileSync(CLIENTS, own + entry);
    process.kill(Number(SERVER_PID), "SIGHUP");
    for (let i = 0; i < 50; i++) {
        await sleep(100);
        if ((await shell("request", { PING_TOKEN: "" })).error) return; // a ping needs its word
    }
    throw new Error("it was not");
});
await check("nothing is configured but sign-on and its CA", () => {
    const yaml = readFileSync(`${HOSPITAL}/server.yaml`, "utf8");
    is(/^events:/m.test(yaml), false);
    has(yaml, "\n  ca: ");
});
await check("the page's request, a tap, one ping, and the page's token", async () => {
    const asked = await shell("request");
    is([asked.expires_in > 115, asked.interval], [true, 2]);
    is((await shell("token", { AUTH_REQ_ID: asked.auth_req_id })).error, "authorization_pending");
    is(pings, []);
    is((await choose(asked.auth_req_id)).status, 200);
    is((await tap("anne")).outcome, "ok");
    const p = await pinged(1);
    await sleep(1500);
    is(pings.length, 1); // it was taken
    is([p.method, p.url, p.authorization, p.type], ["POST", "/ping", "Bearer aWorthyWord.42", "application/json"]);
    is(JSON.parse(p.body), { auth_req_id: asked.auth_req_id });
    const claims = JSON.parse(Buffer.from((await shell("token", { AUTH_REQ_ID: asked.auth_req_id })).id_token.split(".")[1], "base64url"));
    is([claims.sub, claims.iss, claims.aud], ["10001", issuer, "prescriptions"]);
    is((await shell("token", { AUTH_REQ_ID: asked.auth_req_id })).error, "invalid_grant");
});
await check("a ping that is not taken comes again", async () => {
    answers = 503;
    const asked = await shell("request");
    await choose(asked.auth_req_id);
    is((await tap("anne")).outcome, "ok");
    await pinged(3); // the first test's, and two that were not taken
    answers = 204;
    const again = await pinged(pings.length + 1);
    is(JSON.parse(again.body), { auth_req_id: asked.auth_req_id });
    const count = pings.length;
    await sleep(2500);
    is(pings.length, count);
    is((await shell("token", { AUTH_REQ_ID: asked.auth_req_id })).token_type.toLowerCase(), "bearer");
});
await check("no word of a ping is in the server's log", () => {
    is(readFileSync(`${work}/server.log`, "utf8").includes("aWorthyWord"), false);
});
finish();
