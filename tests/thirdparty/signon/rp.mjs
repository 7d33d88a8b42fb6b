// Sign-on judged by a certified relying party, openid-client, which trusts nothing that it can check.
import { readFileSync } from "node:fs";
import https from "node:https";
import * as jose from "jose";
import * as oidc from "openid-client";
import { ask, browserAt, check, fields, finish, form, has, is, issuer, sleep, tap } from "./station.mjs";

const secret = process.env.SECRET;
const redirect_uri = "https://rp.example/callback";
const rp = await oidc.discovery(new URL(issuer), "ehr", {}, oidc.ClientSecretBasic(secret));
const es = await oidc.discovery(new URL(issuer), "pharmacy", { id_token_signed_response_alg: "ES256" }, oidc.ClientSecretPost(secret));
oidc.enableNonRepudiationChecks(rp);
oidc.enableNonRepudiationChecks(es);

// One sign-on, as far as its request.
async function begin(client = rp, more = {}, build = oidc.buildAuthorizationUrl) {
    const verifier = oidc.randomPKCECodeVerifier();
    const want = { verifier, nonce: oidc.randomNonce(), state: oidc.randomState() };
    want.url = await build(client, { redirect_uri, scope: "openid profile", nonce: want.nonce, state: want.state,
        code_challenge: await oidc.calculatePKCECodeChallenge(verifier), code_challenge_method: "S256", ...more });
    return want;
}
const trade = (client, url, want, more = {}) => oidc.authorizationCodeGrant(client, new URL(url), { pkceCodeVerifier: want.verifier,
    expectedNonce: want.nonce, expectedState: want.state, idTokenExpected: true, ...more });
// From the request to the relying party's callback, with one tap.
async function through(b, want, image = "anne") {
    const page = await b.follow(want.url);
    is(page.status, 200, page.text);
    const got = await tap(image);
    is(got.outcome, "ok", JSON.stringify(got));
    await b.hears(page.text, "tapped");
    const a = await b.post("/signon/finish", fields(page.text, "finish-form"));
    is(a.status, 303, a.text);
    return a.location;
}


// Where relying parties are told of ends of sessions.
const told = [];
https.createServer({ cert: readFileSync(process.env.SERVER_CERT), key: readFileSync(process.env.SERVER_KEY) }, (q, a) => {
    let text = "";
    q.on("data", part => { text += part; });
    q.on("end", () => { told.push({ url: q.url, type: q.headers["content-type"], body: new URLSearchParams(text) }); a.end(); });
}).listen(Number(process.env.LISTENER), "127.0.0.1");
const keys = jose.createRemoteJWKSet(new URL(`${issuer}/jwks`));
// The logout token for this client, verified as OpenID Connect Back-Channel Logout 1.0 §2.6 says.
async function hears(client, alg, sid) {
    for (let i = 0; i < 100; i++) {
        for (const t of told) {
            const token = t.body.get("logout_token");
            const claims = jose.decodeJwt(token);
            if (claims.sid !== sid || claims.aud !== client) continue;
            const { payload } = await jose.jwtVerify(token, keys, { issuer, audience: client, typ: "logout+jwt", algorithms: [alg],
                requiredClaims: ["iat", "exp", "jti", "events"] });
            is(payload.events, { "http://schemas.openid.net/event/backchannel-logout": {} });
            is(payload.nonce, undefined);
            is(t.type, "application/x-www-form-urlencoded");
            return payload;
        }
        await sleep(100);
    }
    throw new Error(`${client} never heard of the end of ${sid}: ${JSON.stringify(told)}`);
}

const b = await browserAt("st0");
const tokensOf = async (client, more, image, checks) => {
    const want = await begin(client, more);
    return trade(client, await through(b, want, image), want, checks);
};
// Answered at once, without a tap.
async function silently(client, more = {}, checks = {}) {
    const want = await begin(client, more);
    const a = await b.go(want.url);
    is(a.status, 303, a.text);
    return trade(client, a.location, want, checks);
}
const errorOf = async (browser, client, more) => {
    const a = await browser.go((await begin(client, more)).url);
    is(a.status, 303, a.text);
    return new URL(a.location).searchParams.get("error");
};

await check("before any tap, a relying party that wants no question hears that it needs one", async () =>
    is(await errorOf(b, rp, { prompt: "none" }), "login_required"));
let first;
await check("Anne signs in with a tap: code, PKCE, nonce, state, iss, RS256 signature, at_hash", async () => {
    const tokens = await tokensOf(rp);
    const claims = tokens.claims();
    is([claims.sub, claims.amr, claims.acr], ["10001", ["hwk"], "urn:tessere:acr:badge"]);
    is(Math.abs(claims.auth_time - Date.now() / 1000) < 10, true);
    is(claims.exp - claims.iat, 300);
    is(jose.decodeProtectedHeader(tokens.id_token).alg, "RS256");
    first = { tokens, claims };
});
await check("userinfo tells her name and the session, by header and by form", async () => {
    const who = await oidc.fetchUserInfo(rp, first.tokens.access_token, "10001");
    is([who.name, who.sid, who.amr], ["anne", first.claims.sid, ["hwk"]]);
    const posted = await ask(`${issuer}/userinfo`, { method: "POST", body: form({ access_token: first.tokens.access_token }) });
    is(JSON.parse(posted.text).sub, "10001");
});
await check("without scope profile the name is not told", async () => {
    const tokens = await silently(rp, { scope: "openid" });
    is((await oidc.fetchUserInfo(rp, tokens.access_token, "10001")).name, undefined);
});
await check("another relying party is answered without a tap, by ES256 as it wants, in the same session", async () => {
    const tokens = await silently(es);
    is([tokens.claims().sid, tokens.claims().auth_time], [first.claims.sid, first.claims.auth_time]);
    is(jose.decodeProtectedHeader(tokens.id_token).alg, "ES256");
    await silently(rp, { prompt: "none" });
});
await check("max_age that is not over is met by the session", async () => {
    await silently(rp, { max_age: "3600" }, { maxAge: 3600 });
});
await check("max_age that is over asks for a tap, and auth_time is new", async () => {
    await sleep(2100);
    is(await errorOf(b, rp, { max_age: "1", prompt: "none" }), "login_required");
    const tokens = await tokensOf(rp, { max_age: "1" }, "anne", { maxAge: 1 });
    is(tokens.claims().auth_time > first.claims.auth_time, true);
});
await check("prompt=login asks for a tap in any case", async () => {
    const tokens = await tokensOf(rp, { prompt: "login" });
    is(tokens.claims().sub, "10001");
});
await check("a hint names whose badge it must be: somebody else's session does not answer", async () => {
    is(await errorOf(b, rp, { login_hint: "10002", prompt: "none" }), "login_required");
    await silently(rp, { login_hint: "10001" });
});
await check("a PIN that is essential is not answered by a badge alone", async () => {
    const claims = JSON.stringify({ id_token: { acr: { essential: true, values: ["urn:tessere:acr:badge+pin"] } } });
    is(await errorOf(b, rp, { claims, prompt: "none" }), "login_required");
    is(await errorOf(b, rp, { claims: JSON.stringify({ id_token: { acr: { essential: true, value: "urn:other" } } }) }), "invalid_request");
    is(await errorOf(b, rp, { acr_values: "urn:tessere:acr:badge+pin", prompt: "none" }), "login_required");
});
await check("a relying party of old ways may send no PKCE, where its entry says so", async () => {
    const old = await oidc.discovery(new URL(issuer), "old", {}, oidc.ClientSecretBasic(secret));
    const state = oidc.randomState(), nonce = oidc.randomNonce();
    const a = await b.go(oidc.buildAuthorizationUrl(old, { redirect_uri, scope: "openid", state, nonce }));
    const tokens = await oidc.authorizationCodeGrant(old, new URL(a.location), { expectedState: state, expectedNonce: nonce, idTokenExpected: true });
    is(tokens.claims().sub, "10001");
});
await check("a relying party signs who it is, by a key of its own", async () => {
    const key = await jose.importPKCS8(readFileSync(`${process.env.WORK}/signed.key`, "utf8"), "ES256");
    const signed = await oidc.discovery(new URL(issuer), "signed", {}, oidc.PrivateKeyJwt(key));
    const want = await begin(signed);
    const tokens = await trade(signed, (await b.go(want.url)).location, want);
    is(tokens.claims().aud, "signed");
});
await check("a program of the workstation proves itself by PKCE alone, on a port of its own", async () => {
    const native = await oidc.discovery(new URL(issuer), "native", {}, oidc.None());
    const want = await begin(native, { redirect_uri: "http://127.0.0.1:41234/callback" });
    const a = await b.go(want.url);
    const tokens = await trade(native, a.location, want);
    is(tokens.claims().aud, "native");
});
const pushed = (client, more) => begin(client, more, oidc.buildAuthorizationUrlWithPAR);
await check("what is asked can be pushed, by every way to prove who pushes; the browser brings its name alone", async () => {
    const key = await jose.importPKCS8(readFileSync(`${process.env.WORK}/signed.key`, "utf8"), "ES256");
    const signed = await oidc.discovery(new URL(issuer), "signed", {}, oidc.PrivateKeyJwt(key));
    const native = await oidc.discovery(new URL(issuer), "native", {}, oidc.None());
    for (const [client, more] of [[rp, {}], [es, {}], [signed, {}], [native, { redirect_uri: "http://127.0.0.1:41234/callback" }]]) {
        const want = await pushed(client, more);
        is([...want.url.searchParams.keys()].sort(), ["client_id", "request_uri"]);
        const a = await b.go(want.url);
        is(a.status, 303, a.text);
        await trade(client, a.location, want);
    }
});
await check("a relying party that must push signs Anne in with a tap, and by no other request", async () => {
    const pushes = await oidc.discovery(new URL(issuer), "pushes", {}, oidc.ClientSecretBasic(secret));
    oidc.enableNonRepudiationChecks(pushes);
    const want = await pushed(pushes, { prompt: "login" });
    const claims = (await trade(pushes, await through(b, want), want)).claims();
    is([claims.sub, claims.aud], ["10001", "pushes"]);
    is(await errorOf(b, pushes), "invalid_request");
    is(pushes.serverMetadata().require_pushed_authorization_requests, false);
});
await check("a pushed request that is none is refused before any browser comes", async () => {
    const e = await pushed(rp, { redirect_uri: "https://evil.example/" }).catch(e => e);
    is([e.error, e.status], ["invalid_request", 400]);
});
await check("a request that is posted is as good", async () => {
    const want = await begin();
    const a = await b.go(`${issuer}/authorize`, { method: "POST", body: want.url.search.slice(1) });
    const then = await b.go(new URL(a.location, issuer));
    await trade(rp, then.location, want);
});
await check("what is refused by us is understood by openid-client", async () => {
    const want = await begin();
    const a = await b.go(want.url);
    const e = await trade(rp, a.location, { ...want, verifier: oidc.randomPKCECodeVerifier() }).catch(e => e);
    is([e.error, e.status], ["invalid_grant", 400]);
});
await check("the server's log says where browsers come to, and by which name", () => {
    const { port } = new URL(issuer);
    has(readFileSync(`${process.env.WORK}/server.log`, "utf8"), `tessered: sign-on ready on 127.0.0.1 port ${port}, as ${issuer}\n`);
});
await check("discovery and keys are as the standards have them", async () => {
    const m = rp.serverMetadata();
    is([m.issuer, m.authorization_response_iss_parameter_supported, m.backchannel_logout_session_supported], [issuer, true, true]);
    const { keys } = JSON.parse((await ask(`${issuer}/jwks`)).text);
    is(new Set(keys.map(k => k.alg)), new Set(["RS256", "ES256"]));
    is(keys.some(k => "d" in k || "p" in k), false);
});
await check("Bruno taps on the station: Anne's session ends at each relying party, by its own algorithm", async () => {
    const { sid } = (await silently(rp)).claims();
    await silently(es);
    is((await tap("bruno")).outcome, "ok");
    const mine = await hears("ehr", "RS256", sid);
    is(mine.sub, "10001");
    await hears("pharmacy", "ES256", sid);
    is(await errorOf(b, rp, { prompt: "none" }), "login_required");
    is((await ask(`${issuer}/userinfo`, { headers: { Authorization: `Bearer ${first.tokens.access_token}` } })).status, 401);
});
await check("a second tap that nobody asked for ends the session too", async () => {
    const { sid } = (await tokensOf(rp)).claims();
    await sleep(3000);
    is((await tap("anne")).outcome, "ok");
    await hears("ehr", "RS256", sid);
});
await check("a relying party ends the session: the browser goes where it said before", async () => {
    const tokens = await tokensOf(rp);
    const a = await b.go(oidc.buildEndSessionUrl(rp, { id_token_hint: tokens.id_token, post_logout_redirect_uri: "https://rp.example/bye", state: "s & t" }));
    is(a.location, "https://rp.example/bye?state=s%20%26%20t");
    await hears("ehr", "RS256", tokens.claims().sid);
    is(await errorOf(b, rp, { prompt: "none" }), "login_required");
});
await check("a badge that is suspended ends its sessions", async () => {
    const tokens = await tokensOf(rp);
    await ask(`${process.env.API}/v1/badges/1/suspend`, { method: "POST", identity: "alice", body: "{\"reason\":\"lost\"}", headers: { "Content-Type": "application/json" } });
    await hears("ehr", "RS256", tokens.claims().sid);
    is((await ask(`${issuer}/userinfo`, { headers: { Authorization: `Bearer ${tokens.access_token}` } })).status, 401);
    await ask(`${process.env.API}/v1/badges/1/reinstate`, { method: "POST", identity: "alice" });
});
const scim = (method, path, body) => ask(`${process.env.API}/scim/v2${path}`, { method, body: JSON.stringify(body),
    headers: { Authorization: `Bearer ${readFileSync(`${process.env.WORK}/scim`, "utf8").trim()}`, "Content-Type": "application/scim+json" } });
let person;
await check("what the hospital's directory knows of her is told: her RPPS number", async () => {
    const a = await scim("POST", "/Users", { schemas: ["urn:ietf:params:scim:schemas:core:2.0:User"], userName: "anne", externalId: "x-anne",
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": { employeeNumber: "10001" },
        "urn:tessere:params:scim:schemas:extension:badge:2.0:User": { nationalId: "10000123454" } });
    is(a.status, 201, a.text);
    person = JSON.parse(a.text).id;
    const tokens = await tokensOf(rp, { prompt: "login" }, "anne");
    is((await oidc.fetchUserInfo(rp, tokens.access_token, "10001")).rpps, "10000123454");
});
await check("she leaves: from the directory's answer on her tap is refused, and her session has ended everywhere", async () => {
    const { sid } = (await tokensOf(rp, { prompt: "login" }, "anne")).claims();
    const begun = performance.now();
    const a = await scim("PATCH", `/Users/${person}`, { schemas: ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        Operations: [{ op: "replace", path: "active", value: false }] });
    const answered = performance.now() - begun;
    is(a.status, 200, a.text);
    await hears("ehr", "RS256", sid);
    console.log(`# the directory was answered after ${Math.round(answered)} ms, the relying party told after ${Math.round(performance.now() - begun)} ms`);
    is((await tap("anne")).outcome, "holder-suspended");
    const want = await begin(rp, { prompt: "none" });
    has((await b.go(want.url)).location, "error=login_required");
});
finish();
