// Sign-on judged by a certified relying party, openid-client, which trusts nothing that it can check.
import * as oidc from "openid-client";
import { Browser, browserAt, ask, check, is, has, tap, fields, finish, form, issuer, sleep } from "./station.mjs";

const secret = process.env.SECRET;
const redirect_uri = "https://rp.example/callback";
const rp = await oidc.discovery(new URL(issuer), "ehr", {}, oidc.ClientSecretBasic(secret));
const es = await oidc.discovery(new URL(issuer), "pharmacy", { id_token_signed_response_alg: "ES256" }, oidc.ClientSecretPost(secret));
oidc.enableNonRepudiationChecks(rp);
oidc.enableNonRepudiationChecks(es);

// One sign-on, as far as its request.
async function begin(client = rp, more = {}) {
    const verifier = oidc.randomPKCECodeVerifier();
    const want = { verifier, nonce: oidc.randomNonce(), state: oidc.randomState() };
    want.url = oidc.buildAuthorizationUrl(client, { redirect_uri, scope: "openid profile", nonce: want.nonce, state: want.state,
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

const b = await browserAt("st0");
let first;
await check("Anne signs in with a tap: code, PKCE, nonce, state, iss, RS256 signature", async () => {
    const want = await begin();
    const tokens = await trade(rp, await through(b, want), want);
    const claims = tokens.claims();
    is(claims.sub, "10001");
    is(claims.amr, ["hwk"]);
    is(claims.acr, "urn:tessere:acr:badge");
    first = { tokens, claims };
    const who = await oidc.fetchUserInfo(rp, tokens.access_token, claims.sub);
    is([who.name, who.sid], ["anne", claims.sid]);
});
finish();
