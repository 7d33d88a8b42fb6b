// What a login costs beyond the card's own time: script/bench signon. From the moment in which the station has the
// outcome of the tap, leg by leg, as a browser and a relying party on this machine see it; everything runs on it.
import { createHash, randomBytes } from "node:crypto";
import https from "node:https";
import { browserAt, fields, form, is, issuer, tap } from "./station.mjs";

const logins = 60, limit = 400; // milliseconds, for nineteen logins of twenty
const redirect_uri = "https://rp.example/callback";
https.globalAgent.keepAlive = true;
const b = await browserAt("st0");
const legs = { "the page is told": [], "finish: take, session, code": [], "token (RS256)": [], "token (ES256)": [], userinfo: [], "signed in, from the tap": [] };
for (let i = 0; i < logins; i++) {
    const client = i % 2 ? "pharmacy" : "ehr";
    const verifier = randomBytes(48).toString("base64url");
    const page = await b.follow(`${issuer}/authorize?${form({ client_id: client, redirect_uri, response_type: "code", scope: "openid profile", state: "s",
        nonce: "n", prompt: "login", code_challenge: createHash("sha256").update(verifier).digest("base64url"), code_challenge_method: "S256" })}`);
    const told = b.hears(page.text, "tapped").then(() => performance.now());
    const tapped = tap("anne");
    const toldAt = await told;
    const done = await b.post("/signon/finish", fields(page.text, "finish-form"));
    const finished = performance.now();
    is(done.status, 303, done.text);
    const tokens = await b.go(`${issuer}/token`, { method: "POST", body: form({ grant_type: "authorization_code", redirect_uri, code: new URL(done.location).searchParams.get("code"),
        code_verifier: verifier, client_id: client, client_secret: process.env.SECRET }) });
    const traded = performance.now();
    is(tokens.status, 200, tokens.text);
    await b.go(`${issuer}/userinfo`, { headers: { Authorization: `Bearer ${JSON.parse(tokens.text).access_token}` } });
    const known = performance.now();
    const { outcome, at } = await tapped;
    is(outcome, "ok");
    legs["the page is told"].push(toldAt - at);
    legs["finish: take, session, code"].push(finished - toldAt);
    legs[client === "ehr" ? "token (RS256)" : "token (ES256)"].push(traded - finished);
    legs.userinfo.push(known - traded);
    legs["signed in, from the tap"].push(traded - at);
}
const part = (all, p) => Number(all.sort((x, y) => x - y)[Math.min(all.length - 1, Math.floor(all.length * p))].toFixed(1));
const say = (name, value, of) => console.log(JSON.stringify({ name: `sign-on: ${name}`, value, unit: "ms", limit: of, peer: null,
    ratio_to_limit: of && Number((of / value).toPrecision(3)), ratio_to_peer: null }));
for (const [name, all] of Object.entries(legs)) {
    say(`${name}, p50`, part(all, 0.5), null);
    say(`${name}, p95`, part(all, 0.95), name.startsWith("signed in") ? limit : null);
}
process.exit(0);
