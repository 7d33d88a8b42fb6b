// What a test needs of the world: badges that come and go, a browser made of cookies and redirects,
// and TAP lines.
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import https from "node:https";

export const work = process.env.WORK;
export const issuer = process.env.ISSUER;
export const api = process.env.API;
const pem = name => readFileSync(`${work}/${name}`);
export const ca = readFileSync(process.env.NODE_EXTRA_CA_CERTS);
export const sleep = ms => new Promise(resolve => setTimeout(resolve, ms));

// --- TAP ------------------------------------------------------------------------------------------

let tests = 0, failures = 0;
export async function check(name, fn) {
    tests++;
    try {
        await fn();
        console.log(`ok ${tests} - ${name}`);
    } catch (e) {
        failures++;
        console.log(`not ok ${tests} - ${name}\n# ${String(e?.stack ?? e).replaceAll("\n", "\n# ")}`);
        if (e?.cause) console.log(`# ${JSON.stringify(e.cause?.body ?? String(e.cause))}`);
    }
}
export function is(got, wanted, what = "") {
    if (JSON.stringify(got) !== JSON.stringify(wanted))
        throw new Error(`${what} ${JSON.stringify(got)} is not ${JSON.stringify(wanted)}`);
}
export function has(text, part) {
    if (!String(text).includes(part)) throw new Error(`no ${part} in: ${String(text).slice(0, 1500)}`);
}
export function finish() {
    console.log(`1..${tests}`);
    process.exit(failures ? 1 : 0);
}

// --- badges ---------------------------------------------------------------------------------------

const said = station => readFileSync(`${work}/${station}.out`, "utf8").split("\n").filter(l => l);
// Puts a badge on the reader of a station and takes it away; what the station said of it.
export async function tap(image, station = 0) {
    const log = `agent${station}`;
    const before = said(log).length;
    const card = spawn(process.env.TESSERE_CARD, ["run", "--port",
        String(Number(process.env.TESSERE_CARD_PORT) + station), `${work}/${image}`], { stdio: "ignore" });
    const begun = performance.now();
    let at = 0;
    for (let i = 0; i < 5000 && said(log).length === before; i++) await sleep(2);
    at = performance.now();
    card.kill();
    await new Promise(resolve => card.on("exit", resolve));
    await sleep(700); // pcscd looks twice a second
    const line = said(log)[before];
    return line ? { ...JSON.parse(line), ms: at - begun, at } : { outcome: "nothing" };
}

// --- requests -------------------------------------------------------------------------------------

export function ask(url, { method = "GET", headers = {}, body, identity } = {}) {
    return new Promise((resolve, reject) => {
        const r = https.request(url, { method, headers: body === undefined ? headers :
            { "Content-Type": "application/x-www-form-urlencoded", "Content-Length": Buffer.byteLength(body), ...headers },
            ca, ...(identity ? { cert: pem(`${identity}.pem`), key: pem(`${identity}.key`) } : {}), agent: false }, answer => {
            let text = "";
            answer.setEncoding("utf8");
            answer.on("data", part => { text += part; });
            answer.on("end", () => resolve({ status: answer.statusCode, headers: answer.headers, text,
                location: answer.headers.location }));
        });
        r.on("error", reject);
        r.end(body);
    });
}
export const form = fields => new URLSearchParams(fields).toString();
export const unescape = text => text.replaceAll("&quot;", "\"").replaceAll("&#39;", "'").replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&amp;", "&");
// The hidden fields of a form on a page.
export function fields(page, id) {
    const part = page.split(`id="${id}"`)[1]?.split("</form>")[0] ?? "";
    return Object.fromEntries([...part.matchAll(/<input type="hidden" name="([^"]*)" value="([^"]*)">/g)].map(m => [m[1], unescape(m[2])]));
}

export class Browser {
    cookies = new Map();
    async go(url, options = {}) {
        const headers = { ...options.headers };
        if (this.cookies.size) headers.Cookie = [...this.cookies].map(([k, v]) => `${k}=${v}`).join("; ");
        const a = await ask(url, { ...options, headers });
        for (const c of a.headers["set-cookie"] ?? []) {
            const [pair, ...rest] = c.split("; ");
            const at = pair.indexOf("=");
            for (const needed of ["Path=/", "Secure", "HttpOnly", "SameSite=Lax"])
                if (!rest.includes(needed)) throw new Error(`a cookie without ${needed}: ${c}`);
            if (!pair.startsWith("__Host-")) throw new Error(`a cookie that is not of this host: ${c}`);
            if (rest.includes("Max-Age=0")) this.cookies.delete(pair.slice(0, at));
            else this.cookies.set(pair.slice(0, at), pair.slice(at + 1));
        }
        a.url = String(url);
        return a;
    }
    // Follows redirects that stay with us.
    async follow(url, options) {
        let a = await this.go(url, options);
        for (let i = 0; i < 10 && a.location && new URL(a.location, issuer).origin === issuer; i++)
            a = await this.go(new URL(a.location, issuer));
        return a;
    }
    post(path, fields, headers = {}) {
        return this.go(issuer + path, { method: "POST", body: form(fields), headers: { Origin: issuer, "Sec-Fetch-Site": "same-origin", ...headers } });
    }
    // Waits at the page's events until the login stands so.
    async hears(page, stand, seconds = 15) {
        const f = fields(page, "finish-form");
        const q = form({ c: f.c, client_id: new URLSearchParams(f.request).get("client_id") });
        let last;
        const end = Date.now() + seconds * 1000;
        while (Date.now() < end) {
            const a = await this.go(`${issuer}/signon/events?${q}`, last ? { headers: { "Last-Event-ID": last } } : {});
            last = /^id: (\d+)$/m.exec(a.text)?.[1];
            const s = JSON.parse(/^data: (.*)$/m.exec(a.text)?.[1] ?? "null");
            if (s?.stand === stand) return s;
        }
        throw new Error(`the page never heard ${stand}`);
    }
}

// A browser that the station's agent has opened our address in.
export async function browserAt(station) {
    const a = await ask(`${api}/v1/station/browser`, { method: "POST", identity: station });
    is(a.status, 201);
    const b = new Browser();
    const page = await b.follow(JSON.parse(a.text).url);
    is(page.status, 200);
    return b;
}
