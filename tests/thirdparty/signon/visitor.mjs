// A person's browser that goes to and fro between us and relying parties of other people, whose
// cookies are as they like.
import { api, ask, browserAt, fields, is, issuer, tap } from "./station.mjs";

export class Visitor {
    jars = new Map(); // of relying parties, by origin
    static async at(station) {
        const v = new Visitor();
        v.browser = await browserAt(station);
        return v;
    }
    async go(url, options = {}) {
        const { origin } = new URL(url);
        if (origin === issuer) return this.browser.go(url, options);
        if (!this.jars.has(origin)) this.jars.set(origin, new Map());
        const jar = this.jars.get(origin);
        const a = await ask(url, { ...options, headers: { Accept: "text/html", Cookie: [...jar].map(([k, v]) => `${k}=${v}`).join("; "), ...options.headers } });
        for (const c of a.headers["set-cookie"] ?? []) {
            const [, name, value] = /^([^=]*)=([^;]*)/.exec(c);
            if (/max-age=0|expires=[^;]*19(70|69)/i.test(c) || !value) jar.delete(name);
            else jar.set(name, value);
        }
        a.url = String(url);
        return a;
    }
    async follow(url, options) {
        let a = await this.go(url, options);
        for (let i = 0; i < 15 && a.location; i++) a = await this.go(new URL(a.location, a.url));
        return a;
    }
    // From a page of ours that asks for a badge to where the tap leads.
    async taps(page, image) {
        is([page.status, new URL(page.url).origin], [200, issuer], page.text);
        const got = await tap(image);
        is(got.outcome, "ok", JSON.stringify(got));
        await this.browser.hears(page.text, "tapped");
        const a = await this.browser.post("/signon/finish", fields(page.text, "finish-form"));
        is(a.status, 303, a.text);
        return this.follow(a.location);
    }
}

const json = { "Content-Type": "application/json" };
export const suspend = badge => ask(`${api}/v1/badges/${badge}/suspend`, { method: "POST", identity: "alice", body: "{\"reason\":\"lost\"}", headers: json });
export const reinstate = badge => ask(`${api}/v1/badges/${badge}/reinstate`, { method: "POST", identity: "alice" });
