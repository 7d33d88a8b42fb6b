// LemonLDAP::NG as a relying party.
import { readFileSync } from "node:fs";
import { check, finish, has, is, issuer } from "./station.mjs";
import { suspend, Visitor } from "./visitor.mjs";

const app = process.env.APP;
const v = await Visitor.at("st0");
const cookie = () => v.jars.get(app)?.get("lemonldap");
const session = () => JSON.parse(readFileSync(`${process.env.PARTY}/sessions/${cookie()}`, "utf8"));

await check("the portal sends a person to the badge, with a nonce", async () => {
    const a = await v.go(`${app}/`);
    is(a.location?.startsWith(`${issuer}/authorize?`), true, a.text);
    const asked = new URL(a.location).searchParams;
    is([asked.get("client_id"), asked.get("redirect_uri"), asked.has("nonce")], ["portal", `${app}/?openidconnectcallback=1`, true]);
});
await check("after a tap there is the portal's session, with the attributes of the page", async () => {
    const a = await v.taps(await v.follow(`${app}/`), "anne");
    is([a.status, new URL(a.url).origin], [200, app], a.text);
    const s = session();
    is([s.uid, s.cn, s.acr, s._auth, s._oidc_OP, s.authenticationLevel], ["10001", "anne", "urn:tessere:acr:badge", "OpenIDConnect", "badge", 4]);
});
await check("the portal's page is there without another tap", async () => {
    const a = await v.go(`${app}/`);
    is([a.status, a.location], [200, undefined], a.text);
    has(a.text, "logout=1");
});
await check("a logout at the portal ends our session, and comes back", async () => {
    const a = await v.follow(`${app}/?logout=1`);
    is(new URL(a.url).origin, app, a.text);
    is(cookie() === undefined || cookie() === "0", true);
    const again = await v.follow(`${app}/`);
    is(new URL(again.url).pathname, "/signon", again.text);
});
await check("it hears no back-channel logout, as the page says", async () =>
    is((await v.go(`${app}/oauth2/blogout`, { method: "POST", body: "logout_token=x" })).status, 501));
await check("a badge that is stopped opens nothing", async () => {
    const page = await v.follow(`${app}/`);
    is((await suspend(1)).status, 200);
    let got = "";
    await v.taps(page, "anne").catch(e => { got = String(e); });
    has(got, "badge-suspended");
});
finish();
