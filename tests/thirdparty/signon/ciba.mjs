// A tap that is asked for without a browser (CIBA), judged by openid-client.
import * as oidc from "openid-client";
import https from "node:https";
import { readFileSync } from "node:fs";
import { api, ask, check, finish, form, has, is, issuer, sleep, tap, work, browserAt } from "./station.mjs";

const secret = process.env.SECRET;
const rp = await oidc.discovery(new URL(issuer), "prescriptions", {}, oidc.ClientSecretBasic(secret));
oidc.enableNonRepudiationChecks(rp);
const text = "10 mg morphine, room 12";
const begin = (more = {}, client = rp) => oidc.initiateBackchannelAuthentication(client,
    { scope: "openid profile", login_hint: "10001", binding_message: text, station: "urg-01", ...more });
const poll = (asked, client = rp, signal) => oidc.pollBackchannelAuthenticationGrant(client, asked, {}, { signal });
// As a program of the station does.
const station = (name, method, path) => ask(`${api}/v1/station/${path}`, { method, identity: name, ...(method === "POST" ? { body: "{}", headers: { "Content-Type": "application/json" } } : {}) });
const waiting = async name => JSON.parse((await station(name, "GET", "challenges")).text).items;
const choose = async (name, id) => is((await station(name, "POST", `challenges/${id}/choose`)).status, 200);
// One look, without the library's patience.
const look = async (id, client = "prescriptions") => {
    const a = await ask(`${issuer}/token`, { method: "POST", headers: { Authorization: `Basic ${btoa(`${client}:${secret}`)}` },
        body: form({ grant_type: "urn:openid:params:grant-type:ciba", auth_req_id: id }) });
    return a.status === 200 ? "ok" : JSON.parse(a.text).error;
};
const refused = async (promise, error) => {
    try {
        await promise;
    } catch (e) {
        is(e.error ?? e.cause?.error ?? String(e), error);
        return;
    }
    throw new Error(`not ${error}`);
};

await check("a tap on the station that was shown the text answers it", async () => {
    const asked = await begin();
    const [shown] = await waiting("st0");
    is([shown.party, shown.text], ["prescriptions", text]);
    const answer = poll(asked);
    await choose("st0", shown.challenge);
    is((await tap("anne")).outcome, "ok");
    const claims = (await answer).claims();
    is([claims.sub, claims.amr], ["10001", ["hwk"]]);
    is(await look(asked.auth_req_id), "invalid_grant"); // once
});
await check("the token comes with the tap, and not with the next look", async () => {
    const asked = await begin();
    await choose("st0", asked.auth_req_id);
    const answer = poll(asked).then(() => performance.now());
    await sleep(3000);
    const got = await tap("anne");
    console.log(`# ${Math.round(await answer - got.at)} ms after the station was told`);
});
await check("a tap that was not shown the text answers nothing", async () => {
    const asked = await begin();
    is((await tap("anne")).outcome, "ok");
    is(await look(asked.auth_req_id), "authorization_pending");
});
await check("another person's badge answers nothing", async () => {
    const asked = await begin();
    await choose("st0", asked.auth_req_id);
    is((await tap("bruno")).outcome, "ok");
    is(await look(asked.auth_req_id), "authorization_pending");
});
await check("a tap on another station answers nothing, nor is it chosen there", async () => {
    const asked = await begin();
    is((await station("st1", "POST", `challenges/${asked.auth_req_id}/choose`)).status, 403);
    is(await waiting("st1"), []);
    is((await tap("anne", 1)).outcome, "ok");
    is(await look(asked.auth_req_id), "authorization_pending");
});
await check("without a station it is where the person taps and chooses it", async () => {
    const asked = await begin({ station: "" });
    is(await waiting("st1"), []);
    await tap("anne", 1);
    await choose("st1", asked.auth_req_id);
    const answer = poll(asked);
    await tap("anne", 1);
    is((await answer).claims().sub, "10001");
});
await check("who asks for no profile gets no name", async () => {
    for (const scope of ["openid", "openid profile"]) {
        const asked = await begin({ scope });
        await choose("st0", asked.auth_req_id);
        const answer = poll(asked);
        await tap("anne");
        const tokens = await answer;
        is(tokens.scope, scope);
        is("name" in await oidc.fetchUserInfo(rp, tokens.access_token, "10001"), scope.includes("profile"));
    }
});
await check("who refuses on the station has refused", async () => {
    const asked = await begin();
    is((await station("st0", "POST", `challenges/${asked.auth_req_id}/refuse`)).status, 200);
    await refused(poll(asked), "access_denied");
});
await check("its time is over", async () => {
    const asked = await begin({ requested_expiry: "2" });
    await sleep(3100);
    is(await look(asked.auth_req_id), "expired_token");
});
await check("another relying party gets nothing for it", async () => {
    const asked = await begin();
    await choose("st0", asked.auth_req_id);
    await tap("anne");
    is(await look(asked.auth_req_id, "rung"), "invalid_grant");
    is(await look(asked.auth_req_id, "ehr"), "unsupported_grant_type");
    is(await look(asked.auth_req_id), "ok");
});
await check("what it must not ask", async () => {
    await refused(begin({ login_hint: "99999" }), "unknown_user_id");
    await refused(begin({ station: "nowhere" }), "invalid_request");
    await refused(begin({ binding_message: "x".repeat(300) }), "invalid_binding_message");
    await refused(begin({ binding_message: "10 mg\u202egm 01" }), "invalid_binding_message");
    await refused(begin({ scope: "profile" }), "invalid_scope");
    await refused(begin({ requested_expiry: "0" }), "invalid_request");
    const ehr = await oidc.discovery(new URL(issuer), "ehr", {}, oidc.ClientSecretBasic(secret));
    await refused(begin({}, ehr), "unauthorized_client");
});
await check("a badge that was stopped meanwhile: refused, and the journal says so", async () => {
    const asked = await begin({ login_hint: "10002" });
    await choose("st0", asked.auth_req_id);
    await tap("bruno");
    const alice = path => ask(`${api}${path}`, { method: "POST", identity: "alice", body: "{\"reason\":\"lost\"}", headers: { "Content-Type": "application/json" } });
    is((await alice("/v1/badges/2/suspend")).status, 200);
    is(await look(asked.auth_req_id), "access_denied");
    is((await alice("/v1/badges/2/reinstate")).status, 200);
});
finish();
