// Those who mean it ill at sign-on: each is refused, and what tells somebody something is journalled.
import { createHash, createHmac, createPrivateKey, generateKeyPairSync, randomBytes, sign } from "node:crypto";
import { execFileSync, spawn } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import https from "node:https";
import { Browser, api, ask, browserAt, check, fields, finish, form, has, is, issuer, sleep, tap } from "./station.mjs";

const secret = process.env.SECRET;
const redirect_uri = "https://rp.example/callback";
const verifier = "v".repeat(64);
const challenge = createHash("sha256").update(verifier).digest("base64url");
const asked = (more = {}) => Object.fromEntries(Object.entries({ client_id: "ehr", redirect_uri, response_type: "code", scope: "openid profile", state: "s", nonce: "n",
    code_challenge: challenge, code_challenge_method: "S256", ...more }).filter(([, v]) => v !== undefined));
const authorize = more => `${issuer}/authorize?${form(asked(more))}`;
const basic = (id, password = secret) => ({ Authorization: `Basic ${Buffer.from(`${id}:${password}`).toString("base64")}` });
const token = (fields, headers = basic("ehr")) => ask(`${issuer}/token`, { method: "POST", headers,
    body: typeof fields === "string" ? fields : form({ grant_type: "authorization_code", redirect_uri, code_verifier: verifier, ...fields }) });
const errorOf = a => [a.status, JSON.parse(a.text).error];
const codeOf = a => new URL(a.location).searchParams.get("code");
const errorAt = a => a.location && new URL(a.location).searchParams.get("error");
const userinfo = access => ask(`${issuer}/userinfo`, { headers: { Authorization: `Bearer ${access}` } });
const journal = async () => (await ask(`${api}/v1/journal/entries?after=0&limit=200`, { identity: "alice" })).text.replaceAll("\\\"", "\"");
const stand = (b, page) => { const f = fields(page.text, "finish-form"); return b.go(`${issuer}/signon/events?${form({ c: f.c, client_id: "ehr" })}`); };
const standing = async (b, page) => JSON.parse(/^data: (.*)$/m.exec((await stand(b, page)).text)[1]).stand;

const b = await browserAt("st0");
const other = await browserAt("st1");
// One code, with Anne's session.
async function code(more) { return codeOf(await b.go(authorize(more))); }

// --- logins ---------------------------------------------------------------------------------------
await check("a login that was begun at another station is not answered by a tap here", async () => {
    const there = await other.follow(authorize());
    is((await tap("anne", 0)).outcome, "ok");
    is(await standing(other, there), "waits");
    const a = await other.post("/signon/finish", fields(there.text, "finish-form"));
    has(a.location, "/signon?");
    await other.post("/signon/cancel", fields(there.text, "cancel-form"));
});
await check("a login that somebody began elsewhere cannot be taken with what its page knows", async () => {
    const page = await b.follow(authorize());
    is((await tap("anne")).outcome, "ok");
    await b.hears(page.text, "tapped");
    const f = fields(page.text, "finish-form");
    for (const thief of [new Browser(), other]) is((await thief.post("/signon/finish", f)).status, 403);
    const a = await b.post("/signon/finish", f);
    is(a.status, 303);
    is((await b.post("/signon/finish", f)).status, 403, "again");
    is(codeOf(a).length, 64);
});
await check("a tap is good once: the same challenge with its cookie gives nothing more", async () => {
    const page = await b.follow(authorize({ prompt: "login" }));
    const cookies = new Map(b.cookies);
    is((await tap("anne")).outcome, "ok");
    await b.hears(page.text, "tapped");
    const f = fields(page.text, "finish-form");
    is((await b.post("/signon/finish", f)).status, 303);
    const thief = new Browser();
    thief.cookies = cookies;
    const a = await thief.post("/signon/finish", f);
    is([a.status, a.location], [403, undefined]);
    has(await journal(), "tap-used");
});
await check("a tap for one relying party is not taken for another", async () => {
    const page = await b.follow(authorize({ prompt: "login" }));
    is((await tap("anne")).outcome, "ok");
    await b.hears(page.text, "tapped");
    const f = fields(page.text, "finish-form");
    is((await b.post("/signon/finish", { ...f, request: form(asked({ client_id: "pharmacy" })) })).status, 403);
    is((await b.post("/signon/finish", f)).status, 303);
});
await check("a form that was changed to ask for a PIN does not get one without", async () => {
    const page = await b.follow(authorize({ prompt: "login" }));
    is((await tap("anne")).outcome, "ok");
    await b.hears(page.text, "tapped");
    const f = fields(page.text, "finish-form");
    is((await b.post("/signon/finish", { ...f, request: form(asked({ acr_values: "urn:tessere:acr:badge+pin" })) })).status, 403);
});
await check("two browsers on one station: neither gets the tap by chance", async () => {
    const second = await browserAt("st0");
    const pages = [await b.follow(authorize({ prompt: "login" })), await second.follow(authorize({ prompt: "login" }))];
    is((await tap("anne")).outcome, "ok");
    for (const [i, who] of [b, second].entries()) {
        is(await standing(who, pages[i]), "choose");
        has((await who.post("/signon/finish", fields(pages[i].text, "finish-form"))).location, "/signon?");
    }
    const chosen = await second.post("/signon/choose", fields(pages[1].text, "choose-form"));
    is(chosen.status, 303);
    has((await second.post("/signon/finish", fields(pages[1].text, "finish-form"))).location, "code=");
    await b.post("/signon/cancel", fields(pages[0].text, "cancel-form"));
});
await check("a page that waits says at once that another began on its station", async () => {
    const second = await browserAt("st0");
    const mine = await b.follow(authorize({ prompt: "login" }));
    const heard = b.hears(mine.text, "choose").then(() => performance.now());
    await sleep(500); // it hears how it stands first, and asks what comes
    const theirs = await second.follow(authorize({ prompt: "login" }));
    const begun = performance.now();
    is(await heard - begun < 10000, true); // whoever is not told asks again after twenty seconds
    await second.post("/signon/cancel", fields(theirs.text, "cancel-form"));
    await b.hears(mine.text, "waits", 5);
    await b.post("/signon/cancel", fields(mine.text, "cancel-form"));
});
await check("a login that was chosen before another began opens nothing until the person chooses again", async () => {
    const thief = await browserAt("st0"), victim = await browserAt("st0");
    const theirs = await thief.follow(authorize());
    is((await thief.post("/signon/choose", fields(theirs.text, "choose-form"))).status, 303);
    const mine = await victim.follow(authorize());
    await tap("anne");
    const got = await thief.post("/signon/finish", fields(theirs.text, "finish-form"));
    is(got.location?.includes("code="), false, got.text);
    await victim.post("/signon/choose", fields(mine.text, "choose-form"));
    has((await victim.post("/signon/finish", fields(mine.text, "finish-form"))).location, "code=");
    await thief.post("/signon/cancel", fields(theirs.text, "cancel-form"));
});
await check("a session counts where it was begun: its cookie at another station asks for a tap", async () => {
    const page = await b.follow(authorize({ prompt: "login" }));
    is((await tap("anne")).outcome, "ok");
    await b.hears(page.text, "tapped");
    is((await b.post("/signon/finish", fields(page.text, "finish-form"))).status, 303);
    is(errorAt(await b.go(authorize({ prompt: "none" }))), null);
    other.cookies.set("__Host-session", b.cookies.get("__Host-session"));
    is(errorAt(await other.go(authorize({ prompt: "none" }))), "login_required");
    other.cookies.delete("__Host-session");
});

// --- pushed requests ------------------------------------------------------------------------------
const push = (more, headers = basic("ehr"), text = "") => ask(`${issuer}/par`, { method: "POST", headers, body: form(asked(more)) + text });
async function pushed(more, headers) {
    const a = await push(more, headers);
    is(a.status, 201, a.text);
    is(JSON.parse(a.text).expires_in, 60);
    return JSON.parse(a.text).request_uri;
}
const front = (request_uri, more = {}) => `${issuer}/authorize?${form({ client_id: "ehr", request_uri, ...more })}`;
const stale = { uri: await pushed(), at: Date.now() }; // nobody comes for it in time
const nothing = async (browser, url) => { const a = await browser.go(url); is([a.status, a.location], [400, undefined], a.text); };

await check("nobody pushes for another, without a proof, for an address that is not the client's, or a name in the place of a request", async () => {
    for (const headers of [{}, basic("ehr", "wrong"), basic("pharmacy"), basic("nobody")])
        is(errorOf(await push({}, headers)), [401, "invalid_client"]);
    is(errorOf(await push({ redirect_uri: "https://evil.example/" })), [400, "invalid_request"]);
    is(errorOf(await push({ code_challenge: undefined, code_challenge_method: undefined })), [400, "invalid_request"]);
    is(errorOf(await push({ request_uri: await pushed() })), [400, "invalid_request"]);
    is(errorOf(await push({ request: "x.y." })), [400, "request_not_supported"]);
    is((await ask(`${issuer}/par?state=x`, { method: "POST", headers: basic("ehr"), body: form(asked()) })).status, 400);
    is((await ask(`${issuer}/par`)).status, 405);
});
await check("a request that one client pushed is not another's, and is not spent by that one's try", async () => {
    const uri = await pushed();
    await nothing(b, front(uri, { client_id: "pharmacy" }));
    await nothing(b, front(uri, { client_id: "" }));
    is(codeOf(await b.go(front(uri))).length, 64);
});
await check("a pushed request is good once: for the browser that came first, until it has its answer", async () => {
    const uri = await pushed({ prompt: "login" });
    const page = await b.follow(front(uri));
    is([...new URL(page.url).searchParams.keys()], ["client_id", "request_uri"]);
    for (const thief of [new Browser(), other]) {
        await nothing(thief, front(uri));
        await nothing(thief, page.url);
        is((await thief.post("/signon/finish", fields(page.text, "finish-form"))).status, 400);
    }
    is((await b.go(page.url)).status, 200, "the page again");
    is((await tap("anne")).outcome, "ok");
    await b.hears(page.text, "tapped");
    const c = codeOf(await b.post("/signon/finish", fields(page.text, "finish-form")));
    is((await token({ code: c })).status, 200);
    for (const who of [b, new Browser(), other]) await nothing(who, front(uri));
    is(errorAt(await b.go(front(await pushed({ prompt: "none" })))), null);
});
await check("what is added to a pushed request on the way counts for nothing", async () => {
    const added = { redirect_uri: "https://evil.example/", state: "evil", scope: "x", prompt: "login", response_type: "token", acr_values: "urn:tessere:acr:badge+pin", request: "x.y.",
        code_challenge: createHash("sha256").update("evil").digest("base64url"), login_hint: "10002", ui_locales: "en" };
    const a = await b.go(front(await pushed(), added));
    has(a.location, `${redirect_uri}?code=`);
    is(new URL(a.location).searchParams.get("state"), "s");
    is((await token({ code: codeOf(a) })).status, 200);
    const page = await b.follow(front(await pushed({ prompt: "login", ui_locales: "fr" }), added));
    is(page.headers["content-language"], "fr");
    is(page.text.includes("evil") || page.url.includes("evil"), false);
    await b.post("/signon/cancel", fields(page.text, "cancel-form"));
    is((await b.go(`${front(await pushed())}&client_id=ehr`)).status, 400);
});
await check("a client that must push gets nothing that its browser asked, neither at the front nor in a form that was changed", async () => {
    const mine = { client_id: "pushes" };
    for (const more of [mine, { ...mine, prompt: "none" }, { ...mine, request_uri: "https://rp.example/request" }])
        is(["invalid_request", "request_uri_not_supported"].includes(errorAt(await b.go(authorize(more)))), true);
    const page = await b.follow(front(await pushed({ ...mine, prompt: "login" }, basic("pushes")), mine));
    is((await tap("anne")).outcome, "ok");
    await b.hears(page.text, "tapped");
    const f = fields(page.text, "finish-form");
    is(errorAt(await b.post("/signon/finish", { ...f, request: form(asked(mine)) })), "invalid_request");
    const theirs = await pushed({ ...mine, nonce: "other" }, basic("pushes"));
    await nothing(other, `${issuer}/signon?${form({ ...mine, request_uri: "urn:ietf:params:oauth:request_uri:" + "0".repeat(64) })}`);
    const there = await other.follow(front(theirs, mine));
    is(there.status, 200);
    is((await b.post("/signon/finish", { ...f, request: form({ ...mine, request_uri: theirs }) })).status, 400, "another browser's");
    await other.post("/signon/cancel", fields(there.text, "cancel-form"));
    is(codeOf(await b.post("/signon/finish", f)).length, 64);
});

// --- codes ----------------------------------------------------------------------------------------
await check("a code that comes twice is refused, and ends what the first was traded for", async () => {
    const c = await code();
    const first = await token({ code: c });
    is(first.status, 200);
    const { access_token } = JSON.parse(first.text);
    is((await userinfo(access_token)).status, 200);
    is(errorOf(await token({ code: c })), [400, "invalid_grant"]);
    is((await userinfo(access_token)).status, 401);
    has(await journal(), "code-used");
    const told = async () => (await journal()).split("code-used").length;
    const once = await told();
    for (let i = 0; i < 5; i++) is(errorOf(await token({ code: c })), [400, "invalid_grant"]);
    is(await told(), once); // who goes on does not fill the journal
});
await check("another client's code is refused, and journalled", async () => {
    const c = await code();
    is(errorOf(await token({ code: c }, basic("pharmacy"))), [400, "invalid_grant"]);
    has(await journal(), "\"why\":\"client\"");
    is((await token({ code: c })).status, 200);
});
await check("a wrong verifier ends the code", async () => {
    const c = await code();
    is(errorOf(await token({ code: c, code_verifier: "w".repeat(64) })), [400, "invalid_grant"]);
    is(errorOf(await token({ code: c })), [400, "invalid_grant"]);
    has(await journal(), "\"why\":\"verifier\"");
});
await check("PKCE cannot be left out, done in the clear, or dropped on the way", async () => {
    is(errorAt(await b.go(authorize({ code_challenge: undefined, code_challenge_method: undefined }))), "invalid_request");
    is(errorAt(await b.go(authorize({ code_challenge_method: "plain", code_challenge: verifier }))), "invalid_request");
    is(errorAt(await b.go(authorize({ code_challenge_method: undefined }))), "invalid_request");
    is(errorAt(await b.go(authorize({ code_challenge: challenge + "=" }))), "invalid_request");
    is(errorOf(await token({ code: await code(), code_verifier: "" })), [400, "invalid_grant"]);
    is(errorOf(await token({ code: await code({ client_id: "old", code_challenge: undefined, code_challenge_method: undefined }) }, basic("old"))), [400, "invalid_grant"]);
});
await check("a code is for the address that it was sent to", async () => {
    is(errorOf(await token({ code: await code(), redirect_uri: "https://rp.example/other?x=1" })), [400, "invalid_grant"]);
    is(errorOf(await token({ code: await code(), redirect_uri: "" })), [400, "invalid_grant"]);
});
await check("codes that are made up, and other grants, are refused", async () => {
    is(errorOf(await token({ code: randomBytes(32).toString("hex").toUpperCase() })), [400, "invalid_grant"]);
    is(errorOf(await token({ grant_type: "refresh_token", refresh_token: "x" })), [400, "unsupported_grant_type"]);
    is(errorOf(await token({ grant_type: "password", username: "anne", password: "x" })), [400, "unsupported_grant_type"]);
});

// --- clients --------------------------------------------------------------------------------------
await check("a client that cannot prove who it is gets nothing", async () => {
    const c = await code();
    for (const headers of [{}, basic("ehr", "wrong"), basic("nobody"), basic("native"), { Authorization: "Basic !!!!" }, { Authorization: "Bearer x" }])
        is(errorOf(await token({ code: c }, headers)), [401, "invalid_client"], JSON.stringify(headers));
    is(errorOf(await token({ code: c, client_id: "ehr", client_secret: secret })), [401, "invalid_client"], "two ways at once");
    is(errorOf(await token({ code: c, client_id: "pharmacy" })), [401, "invalid_client"], "two names");
    is(errorOf(await token({ code: c, client_id: "ehr" }, {})), [401, "invalid_client"], "a public client it is not");
    is((await token({ code: c })).status, 200);
});
await check("client assertions are not taken, least of all unsigned or signed with the secret", async () => {
    const part = o => Buffer.from(JSON.stringify(o)).toString("base64url");
    const claims = part({ iss: "ehr", sub: "ehr", aud: `${issuer}/token`, jti: "1", exp: Math.floor(Date.now() / 1000) + 60 });
    const none = `${part({ alg: "none" })}.${claims}.`;
    const head = `${part({ alg: "HS256" })}.${claims}`;
    const hs = `${head}.${createHmac("sha256", secret).update(head).digest("base64url")}`;
    for (const client_assertion of [none, hs])
        is(errorOf(await token({ code: await code(), client_id: "ehr", client_assertion,
            client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" }, {})), [401, "invalid_client"]);
});
await check("a client's signature is its own, for us, fresh, and good once", async () => {
    const key = createPrivateKey(readFileSync(`${process.env.WORK}/signed.key`));
    const part = o => Buffer.from(JSON.stringify(o)).toString("base64url");
    const now = Math.floor(Date.now() / 1000);
    const make = (claims = {}, head = {}, by = key) => {
        const text = `${part({ alg: "ES256", ...head })}.${part({ iss: "signed", sub: "signed", aud: issuer, jti: randomBytes(9).toString("hex"), exp: now + 60, ...claims })}`;
        return `${text}.${sign("sha256", Buffer.from(text), { key: by, dsaEncoding: "ieee-p1363" }).toString("base64url")}`;
    };
    const trade = async (client_assertion, more = {}, headers = {}) => errorOf(await token({ code: "0".repeat(64), client_assertion,
        client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer", ...more }, headers));
    const other = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
    for (const [what, assertion] of Object.entries({ other: make({}, {}, other), algorithm: make({}, { alg: "RS256" }), none: make({}, { alg: "none" }), crit: make({}, { crit: ["x"] }),
        audience: make({ aud: "https://evil.example" }), audiences: make({ aud: [issuer, "https://evil.example"] }), subject: make({ sub: "ehr" }), issuer: make({ iss: "ehr", sub: "ehr" }),
        old: make({ exp: now - 100 }), long: make({ exp: now + 100000 }), early: make({ nbf: now + 1000 }), jti: make({ jti: "" }), noise: "a.b.c" }))
        is(await trade(assertion), [401, "invalid_client"], what);
    const good = make();
    is(await trade(good, { client_id: "ehr" }), [401, "invalid_client"], "another name");
    is(await trade(good, {}, basic("ehr")), [401, "invalid_client"], "two ways");
    is(await trade(good), [400, "invalid_grant"], "the first time");
    is(await trade(good), [401, "invalid_client"], "again");
    has(await journal(), "\"why\":\"assertion\"");
    is(errorOf(await token({ code: "0".repeat(64), client_id: "signed" }, {})), [401, "invalid_client"], "without one");
});
await check("an access token in an address does not count", async () => {
    const { access_token } = JSON.parse((await token({ code: await code() })).text);
    is((await ask(`${issuer}/userinfo?access_token=${access_token}`)).status, 401);
    is((await userinfo(access_token)).status, 200);
});

await check("a request that names a person is answered for nobody else", async () => {
    const signIn = async image => {
        const page = await b.follow(authorize({ prompt: "login" }));
        is((await tap(image)).outcome, "ok");
        await b.hears(page.text, "tapped");
        return JSON.parse((await token({ code: codeOf(await b.post("/signon/finish", fields(page.text, "finish-form"))) })).text).id_token;
    };
    const [brunos, annes] = [await signIn("bruno"), await signIn("anne")];
    const silently = async more => errorAt(await b.go(authorize({ prompt: "none", ...more })));
    const named = (value, of = "id_token") => ({ claims: JSON.stringify({ [of]: { sub: { value } } }) });
    for (const theirs of [named("10002"), named("10002", "userinfo"), { id_token_hint: brunos }]) is(await silently(theirs), "login_required", JSON.stringify(theirs));
    for (const hers of [named("10001"), { id_token_hint: annes, login_hint: "10001" }]) is(await silently(hers), null, JSON.stringify(hers));
    const [head, body] = annes.split(".");
    for (const bad of [named(""), named(10001), { claims: JSON.stringify({ id_token: { sub: { values: ["10001", "10002"] } } }) }, { ...named("10002"), login_hint: "10001" }, { ...named("10002"), id_token_hint: annes },
        { id_token_hint: `${head}.${body}.` }, { id_token_hint: `${head}.${Buffer.from(JSON.stringify({ iss: issuer, sub: "10001" })).toString("base64url")}.AAAA` }, { id_token_hint: "x" }])
        is(await silently(bad), "invalid_request", JSON.stringify(bad));
    const hers = await pushed({ prompt: "login", login_hint: "10001" }), anybodys = await pushed({ prompt: "login" });
    await b.follow(front(hers));
    const open = await b.follow(front(anybodys));
    is((await tap("bruno")).outcome, "ok");
    await b.hears(open.text, "tapped");
    const swapped = await b.post("/signon/finish", { ...fields(open.text, "finish-form"), request: form({ client_id: "ehr", request_uri: hers }) });
    is([swapped.status, swapped.location], [403, undefined], "another's tap for a request that names her");
    const page = await b.follow(authorize({ prompt: "login", id_token_hint: annes }));
    is((await tap("bruno")).outcome, "ok");
    is(await standing(b, page), "waits");
    await b.post("/signon/cancel", fields(page.text, "cancel-form"));
    await signIn("anne"); // whose session the next tests use
});

// --- addresses ------------------------------------------------------------------------------------
await check("nobody is sent to an address that is not exactly one of the client's", async () => {
    for (const uri of ["https://RP.example/callback", "https://rp.example/Callback", "https://rp.example/callback/", "https://rp.example/callback?x=1",
        "https://rp.example/callback#x", "https://rp.example/../callback", "https://rp.example/%63allback", "https://rp.example/callback/../evil",
        "https://rp.example:444/callback", "https://rp.example@evil.example/callback", "https://rp.example.evil.example/callback",
        "http://rp.example/callback", "//rp.example/callback", "https://rp.example/callback ", "javascript:alert(1)", "https://rp.example/other", ""]) {
        const a = await b.go(authorize({ redirect_uri: uri }));
        is([a.status, a.location], [400, undefined], uri);
    }
    is((await b.go(authorize({ client_id: "native", redirect_uri: "http://127.0.0.1.evil.example/callback" }))).status, 400);
    is((await b.go(authorize({ client_id: "native", redirect_uri: "http://127.0.0.1:80@evil.example/callback" }))).status, 400);
    is((await b.go(authorize({ client_id: "native", redirect_uri: "http://127.0.0.1:1/evil" }))).status, 400);
    is((await b.go(authorize({ client_id: "native", redirect_uri: "http://localhost/callback" }))).status, 400);
    is((await b.go(authorize({ client_id: "nobody" }))).status, 400);
});
await check("what is not offered is refused to the relying party, and not passed over", async () => {
    is(errorAt(await b.go(authorize({ response_type: "token" }))), "unsupported_response_type");
    is(errorAt(await b.go(authorize({ response_type: "code id_token" }))), "unsupported_response_type");
    is(errorAt(await b.go(authorize({ response_mode: "fragment" }))), "invalid_request");
    is(errorAt(await b.go(authorize({ request: "x.y." }))), "request_not_supported");
    is(errorAt(await b.go(authorize({ request_uri: "https://evil.example/x" }))), "request_uri_not_supported");
    is(errorAt(await b.go(authorize({ scope: "profile" }))), "invalid_scope");
    is(errorAt(await b.go(authorize({ prompt: "none login" }))), "invalid_request");
    is(errorAt(await b.go(authorize({ max_age: "-1" }))), "invalid_request");
});
await check("a logout leads only where the client said before, and asks when nothing proves who wants it", async () => {
    const { id_token } = JSON.parse((await token({ code: await code() })).text);
    for (const post_logout_redirect_uri of ["https://evil.example/", "https://rp.example/bye/", "https://rp.example/callback"]) {
        const a = await new Browser().go(`${issuer}/logout?${form({ post_logout_redirect_uri, client_id: "ehr" })}`);
        is([a.status, a.location], [200, undefined]);
    }
    const [head, body] = id_token.split(".");
    const forged = `${Buffer.from(JSON.stringify({ ...JSON.parse(Buffer.from(head, "base64url")), alg: "none" })).toString("base64url")}.${body}.`;
    const page = await b.go(`${issuer}/logout?${form({ id_token_hint: forged, post_logout_redirect_uri: "https://rp.example/bye" })}`);
    is([page.status, page.location], [200, undefined]);
    is(errorAt(await b.go(authorize({ prompt: "none" }))), null, "still signed in:");
    has(page.text, "logout-form");
    is((await b.post("/signon/logout", { csrf: "0".repeat(64) })).status, 403);
    is((await b.post("/signon/logout", fields(page.text, "logout-form"))).status, 200);
    is(errorAt(await b.go(authorize({ prompt: "none" }))), "login_required");
});

// --- pages ----------------------------------------------------------------------------------------
await check("every page and answer forbids frames, sniffing, referrers and keeping", async () => {
    const page = await b.follow(authorize());
    for (const a of [page, await b.go(`${issuer}/nowhere`), await b.go(`${issuer}/.well-known/openid-configuration`), await b.go(authorize({ redirect_uri: "x" }))]) {
        is(a.headers["x-content-type-options"], "nosniff");
        is(a.headers["referrer-policy"], "no-referrer");
        is(a.headers["cache-control"], "no-store");
        is(a.headers["x-frame-options"], "DENY");
        has(a.headers["strict-transport-security"], "max-age=");
    }
    has(page.headers["content-security-policy"], "default-src 'none'");
    has(page.headers["content-security-policy"], "frame-ancestors 'none'");
    await b.post("/signon/cancel", fields(page.text, "cancel-form"));
});
await check("no form of ours is taken from another site, from a page of before, or without its word", async () => {
    const page = await b.follow(authorize());
    for (const path of ["finish", "choose", "cancel", "pin"]) {
        const f = fields(page.text, `${path}-form`);
        is(Object.keys(f), ["c", "csrf", "request"]);
        const post = (fields, headers) => b.go(`${issuer}/signon/${path}`, { method: "POST", body: form(fields), headers });
        for (const headers of [{}, { Origin: "https://evil.example" }, { Origin: "null" }, { Origin: issuer, "Sec-Fetch-Site": "cross-site" },
            { "Sec-Fetch-Site": "same-site" }, { "Sec-Fetch-Site": "none" }, { Origin: "https://evil.example", "Sec-Fetch-Site": "same-origin" }])
            is((await post(f, headers)).status, 403, `${path} ${JSON.stringify(headers)}`);
        const own = { Origin: issuer, "Sec-Fetch-Site": "same-origin" };
        is((await post({ ...f, csrf: "" }, own)).status, 403);
        is((await post({ ...f, csrf: "0".repeat(64) }, own)).status, 403);
        is((await post({ ...f, c: "0".repeat(32) }, own)).status, 403);
    }
    is(await standing(b, page), "waits");
    await b.post("/signon/cancel", fields(page.text, "cancel-form"));
    is((await b.go(`${issuer}/signon/pair`, { method: "POST", body: form({ code: "X" }), headers: { Origin: "https://evil.example" } })).status, 403);
});
await check("a name that comes twice, and what is no parameter, makes the whole request none", async () => {
    for (const more of ["&state=x", "&client_id=ehr", "&redirect_uri=https://evil.example/", "&x=%zz", "&x=%00", "&x=%ff", "&%73tate=y"]) {
        const a = await b.go(authorize() + more);
        is([a.status, a.location], [400, undefined], more);
    }
    const c = await code({ client_id: "old", code_challenge: undefined, code_challenge_method: undefined, prompt: "none" });
    is(c, null);
    is(errorOf(await token(form({ grant_type: "authorization_code", code: "x", redirect_uri }) + "&code=y")), [400, "invalid_request"]);
});
await check("an endpoint for programs says in JSON what is wrong with a request", async () => {
    for (const path of ["token", "par", "backchannel", "userinfo", "callout/password"]) {
        const at = (text, url = `${issuer}/${path}`, headers = basic("ehr")) => ask(url, { method: "POST", headers, body: text });
        for (const a of [await at("x=1&x=2"), await at("x=%zz"), await at("", `${issuer}/${path}?y=1&y=2`)]) {
            is(errorOf(a), [400, "invalid_request"], path);
            is([a.headers["content-type"], a.headers["cache-control"]], ["application/json", "no-store"]);
        }
        has((await at("x=1&x=2")).text, "parameter x comes twice");
        const cut = `${"a".repeat(39)}é`; // a message about it ends within its last character
        is(errorOf(await at(form([[cut, "1"], [cut, "2"]]))), [400, "invalid_request"], `${path}, cut`);
        is(errorOf(await at("<x/>", undefined, { ...basic("ehr"), "Content-Type": "text/xml" })), [415, "invalid_request"], path);
        is(errorOf(await at(`x=${"y".repeat(9000)}`)), [400, "invalid_request"], path);
        is(errorOf(await ask(`${issuer}/${path}`, { method: "PUT", body: "" })), [405, "invalid_request"], path);
    }
});
await check("what is too long is refused, whatever it is", async () => {
    is(errorAt(await b.go(authorize({ state: "s".repeat(600) }))), "invalid_request");
    is(errorAt(await b.go(authorize({ nonce: "n".repeat(300) }))), "invalid_request");
    is((await b.go(authorize({ x: "x".repeat(9000) }))).status, 400);
    for (const who of [b, new Browser()]) is((await who.follow(`${authorize({ prompt: "login" })}&x=${":".repeat(7000)}`)).status, 400, "what grows when it is written");
    is((await new Browser().post("/signon/pair", { code: "x", request: `x=${":".repeat(2500)}` })).status, 400);
    is((await b.go(authorize({ x: "x".repeat(40000) })).catch(() => ({ status: 414 }))).status >= 400, true);
    is((await b.go(authorize(Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`x${i}`, "1"]))))).status, 400);
    is((await token("x=" + "y".repeat(70000))).status >= 400, true);
    is((await ask(`${issuer}/token`, { method: "POST", headers: { ...basic("ehr"), "Content-Type": "application/json" }, body: "{}" })).status, 415);
});
await check("text of others stands on pages as text", async () => {
    const a = await b.go(authorize({ redirect_uri: "https://rp.example/<script>alert(1)</script>" }));
    is(a.text.includes("<script>alert"), false);
    const page = await b.follow(authorize({ state: "\"><script>alert(1)</script>" }));
    is(page.text.includes("<script>alert"), false);
    is(new URLSearchParams(fields(page.text, "finish-form").request).get("state"), "\"><script>alert(1)</script>");
    await b.post("/signon/cancel", fields(page.text, "cancel-form"));
});

// --- stations -------------------------------------------------------------------------------------
await check("an address that joins a browser is good once, and one that is made up never", async () => {
    const { url } = JSON.parse((await ask(`${api}/v1/station/browser`, { method: "POST", identity: "st0" })).text);
    is((await new Browser().follow(url)).status, 200);
    is((await new Browser().follow(url)).status, 403);
    is((await new Browser().follow(`${issuer}/signon/join?h=${"0".repeat(64)}`)).status, 403);
    is((await ask(`${api}/v1/station/browser`, { method: "POST", identity: "alice" })).status, 403);
});
await check("a redirect over the machine's certificate joins, and leads nowhere else", async () => {
    const to = Buffer.from(form(asked())).toString("base64url");
    const a = await ask(`${api}/signon/join?to=${to}`, { identity: "st0" });
    is(a.status, 303);
    is(new URL(a.location).origin, issuer);
    const fresh = new Browser();
    const page = await fresh.follow(a.location);
    has(page.url, `${issuer}/signon?`);
    await fresh.post("/signon/cancel", fields(page.text, "cancel-form"));
    is((await ask(`${api}/signon/join?to=https://evil.example/`, { identity: "st0" })).status, 400);
    is((await ask(`${api}/signon/join?to=${to}`)).status, 401);
});
await check("a pairing code is good once, the newest alone, and cannot be guessed at will", async () => {
    const draw = async () => JSON.parse((await ask(`${api}/v1/station/pair`, { method: "POST", identity: "st0" })).text).code;
    const request = form(asked());
    const [old, newer] = [await draw(), await draw()];
    is(/^[2-9A-HJ-NP-Z]{4}-[2-9A-HJ-NP-Z]{4}$/.test(newer), true, newer);
    const thief = new Browser();
    is((await thief.post("/signon/pair", { code: old, request })).status, 403);
    is((await thief.post("/signon/pair", { code: newer, request })).status, 303);
    is((await thief.post("/signon/pair", { code: newer, request })).status, 403);
    let status = 0;
    for (let i = 0; i < 30 && status !== 429; i++) status = (await thief.post("/signon/pair", { code: "AAAABBBB", request })).status;
    is(status, 429);
});
await check("who stands between a station and its server at the enrolment hears no code", async () => {
    const { code } = JSON.parse((await ask(`${api}/v1/stations`, { method: "POST", identity: "alice", body: JSON.stringify({ name: "urg-09", group: "wards" }), headers: { "Content-Type": "application/json" } })).text);
    const real = JSON.parse((await ask(`${api}/v1/ca`)).text).ca;
    const their = name => `${process.env.WORK}/their-${name}`;
    execFileSync("openssl", ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=localhost",
        "-addext", "subjectAltName=DNS:localhost", "-keyout", their("key"), "-out", their("pem")], { stdio: "ignore" });
    const heard = [];
    const between = https.createServer({ key: readFileSync(their("key")), cert: readFileSync(their("pem")) }, (q, a) => {
        let text = "";
        q.on("data", part => { text += part; });
        q.on("end", () => {
            heard.push(`${q.url} ${text}`);
            a.setHeader("Content-Type", "application/json").end(JSON.stringify({ ca: real + readFileSync(their("pem")) }));
        });
    });
    const port = Number(new URL(issuer).port) + 3;
    await new Promise(resolve => between.listen(port, "127.0.0.1", resolve));
    const agent = spawn(process.env.TESSERE_AGENT, ["--state", their("state"), "enrol", "--server", `https://localhost:${port}`, "--code", code], { stdio: "ignore" });
    await new Promise(resolve => agent.on("exit", resolve));
    between.close();
    is(heard.filter(h => h.includes(code)), []);
    is(heard.length, 1, "asked for the CA");
});
await check("a station that is suspended has no browsers any more, also when it is back", async () => {
    const fresh = await browserAt("st1");
    await ask(`${api}/v1/stations/2/suspend`, { method: "POST", identity: "alice" });
    has((await fresh.go(authorize())).text, "pair-form");
    await ask(`${api}/v1/stations/2/reinstate`, { method: "POST", identity: "alice" });
    has((await fresh.go(authorize())).text, "pair-form");
});
await check("a directory's program that asks much at once leaves stations their turn", async () => {
    const hold = "import sqlite3,sys,time; c=sqlite3.connect(sys.argv[1],isolation_level=None); c.execute('BEGIN IMMEDIATE'); print('held',flush=True); time.sleep(5)";
    const holder = spawn("/usr/bin/python3", ["-c", hold, `${process.env.HOSPITAL}/store.db`], { stdio: ["ignore", "pipe", "inherit"] });
    await new Promise(resolve => holder.stdout.once("data", resolve));
    const headers = { Authorization: `Bearer ${readFileSync(`${process.env.WORK}/scim`, "utf8").trim()}`, "Content-Type": "application/scim+json" };
    const writes = Array.from({ length: 30 }, (_, i) => ask(`${api}/scim/v2/Users`, { method: "POST", headers,
        body: JSON.stringify({ schemas: ["urn:ietf:params:scim:schemas:core:2.0:User"], userName: `many${i}` }) }).catch(() => {}));
    await sleep(2000); // until all have come in
    const since = Date.now();
    is((await ask(`${api}/v1/station/challenges`, { identity: "st0" })).status, 200);
    is(Date.now() - since < 1000, true, `${Date.now() - since} ms`);
    await Promise.all(writes);
});
await check("logins that wait on a station are bounded, and one browser asks again without piling up", async () => {
    const crowd = [];
    for (let i = 0; i < 12; i++) is((await b.follow(authorize({ prompt: "login" }))).status, 200);
    let status = 200;
    for (let i = 0; i < 10 && status === 200; i++) {
        crowd.push(await browserAt("st0"));
        status = (await crowd.at(-1).follow(authorize())).status;
    }
    is(status, 403);
});
await check("a pushed request that nobody came for in a minute is none", async () => {
    await sleep(Math.max(0, stale.at + 61000 - Date.now()));
    await nothing(b, front(stale.uri));
});
await check("relying parties follow a reload; a broken file changes nothing", async () => {
    const path = process.env.CLIENTS;
    const before = readFileSync(path, "utf8");
    const reload = async text => {
        writeFileSync(path, text);
        process.kill(Number(process.env.SERVER_PID), "SIGHUP");
        await sleep(1500);
    };
    await reload(`${before}  - {id: fresh, name: {fr: Neuf}, public: true, redirect-uris: ["https://rp.example/fresh"]}\n`);
    is(errorAt(await b.go(authorize({ client_id: "fresh", redirect_uri: "https://rp.example/fresh", scope: "x" }))), "invalid_scope");
    await reload("clients: [{id: evil}]\n");
    is(errorAt(await b.go(authorize({ client_id: "fresh", redirect_uri: "https://rp.example/fresh", scope: "x" }))), "invalid_scope");
    await reload(before);
    is((await b.go(authorize({ client_id: "fresh", redirect_uri: "https://rp.example/fresh" }))).status, 400);
});
await check("a page that a browser with the station's certificate has open asks the API for nothing", async () => {
    for (const headers of [{ Origin: "https://evil.example" }, { "Sec-Fetch-Site": "cross-site" }, { Origin: "null" }])
        for (const path of ["leave", "pair", "browser"])
            is((await ask(`${api}/v1/station/${path}`, { method: "POST", identity: "st0", headers })).status, 403, path);
});
await check("a header that ends after its scheme is nobody's", async () => {
    is((await token({ code: "x" }, { Authorization: "Basic" })).status, 401);
    is((await ask(`${issuer}/userinfo`, { headers: { Authorization: "Bearer" } })).status, 401);
});
finish();
