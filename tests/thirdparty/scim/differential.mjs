// The same requests to our server and to SCIMMY: status and body must be the same, but for the
// deviations that are listed with their reason. Usage: differential.mjs URL TOKEN, with
// NODE_EXTRA_CA_CERTS. TAP output.
import express from "express";
import SCIMMY from "scimmy";
import SCIMMYRouters from "scimmy-routers";

const [url, token] = process.argv.slice(2);
const PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
const USER = "urn:ietf:params:scim:schemas:core:2.0:User";
const GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group";
const ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
const BADGE = "urn:tessere:params:scim:schemas:extension:badge:2.0:User";

// --- the reference ------------------------------------------------------------------------------
const rows = { u: new Map(), g: new Map() };
let last = { u: 0, g: 0 };
SCIMMY.Config.set({ patch: true, filter: { supported: true, maxResults: 200 } });
const declare = (Type, letter, unique) => SCIMMY.Resources.declare(Type)
    .ingress((resource, instance) => {
        const all = rows[letter];
        const same = [...all.values()].find((r) => r.id !== resource.id && String(r[unique]).toLowerCase() === String(instance[unique]).toLowerCase());
        if (same) throw new SCIMMY.Types.Error(409, "uniqueness", "taken");
        if (resource.id && !all.has(resource.id)) throw new SCIMMY.Types.Error(404, null, "none");
        const id = resource.id ?? `${letter}${++last[letter]}`;
        const plain = JSON.parse(JSON.stringify(instance));
        if (plain.members) plain.members = [...new Map(plain.members.map((m) => [m.value, m])).values()]; // sets are left to us
        all.set(id, { active: true, ...plain, id, meta: { created: "2026-01-01T00:00:00Z", lastModified: "2026-01-01T00:00:00Z" } });
        return all.get(id);
    })
    .egress((resource) => {
        const all = rows[letter];
        if (resource.id === undefined) return resource.filter ? resource.filter.match([...all.values()]) : [...all.values()];
        if (!all.has(resource.id)) throw new SCIMMY.Types.Error(404, null, "none");
        return all.get(resource.id);
    })
    .degress((resource) => {
        if (!rows[letter].delete(resource.id)) throw new SCIMMY.Types.Error(404, null, "none");
    });
declare(SCIMMY.Resources.User, "u", "userName");
SCIMMY.Resources.User.extend(SCIMMY.Schemas.EnterpriseUser, false);
declare(SCIMMY.Resources.Group, "g", "displayName");
const app = express();
app.use("/scim/v2", new SCIMMYRouters({ type: "bearer", handler: () => "judge" }));
const listener = app.listen(0, "127.0.0.1");
await new Promise((r) => listener.once("listening", r));
const reference = `http://127.0.0.1:${listener.address().port}`;

// --- what is asked ------------------------------------------------------------------------------
const person = (n, more = {}) => ({ schemas: [USER, ENTERPRISE], userName: `user${n}@example.org`, externalId: `ext-${n}`, displayName: `Person ${n}`, active: true,
    name: { givenName: `Given${n}`, familyName: `Family${n}` }, [ENTERPRISE]: { employeeNumber: `E${n}`, department: n % 2 ? "ICU" : "Surgery" }, ...more });
const find = (filter, more = "") => `/Users?filter=${encodeURIComponent(filter)}${more}`;
const patch = (...Operations) => ({ schemas: [PATCH], Operations });
const steps = [
    ["an empty list", "GET", find('userName eq "nobody"')],
    ...[1, 2, 3, 4].map((n) => [`person ${n} joins`, "POST", "/Users", person(n)]),
    ["the same userName", "POST", "/Users", person(1)],
    ["the same userName in capitals", "POST", "/Users", person(9, { userName: "USER1@EXAMPLE.ORG" })],
    ["no userName", "POST", "/Users", { schemas: [USER], displayName: "x" }],
    ["a wrong type", "POST", "/Users", person(8, { displayName: 5 })],
    ["one person", "GET", "/Users/u1"],
    ["nobody", "GET", "/Users/u99"],
    ["probe by userName", "GET", find('userName eq "user2@example.org"')],
    ["probe by externalId", "GET", find('externalId eq "ext-3"')],
    ["and", "GET", find('userName sw "user" and active eq true')],
    ["or with not", "GET", find('not (displayName eq "Person 1") and (name.familyName co "2" or name.familyName ew "3")')],
    ["an extension", "GET", find(`${ENTERPRISE}:department eq "ICU"`)],
    ["present", "GET", find("title pr")],
    ["no filter at all", "GET", find("userName eq")],
    ["a word that is no operator", "GET", find('userName is "x"')],
    ["a page", "GET", "/Users?startIndex=2&count=2"],
    ["a page past the end", "GET", "/Users?startIndex=9&count=2"],
    ["count 0", "GET", "/Users?count=0"],
    ["attributes", "GET", "/Users/u1?attributes=userName,name.familyName"],
    ["excluded attributes", "GET", "/Users/u1?excludedAttributes=name,displayName"],
    ["Okta's PUT", "PUT", "/Users/u1", person(1, { displayName: "Changed" })],
    ["a PUT of nobody", "PUT", "/Users/u99", person(99)],
    ["active false, by path", "PATCH", "/Users/u1", patch({ op: "replace", path: "active", value: false })],
    ["who is disabled stays readable", "GET", "/Users/u1"],
    ["and is found", "GET", find("active eq false")],
    ["active true, without a path (Okta)", "PATCH", "/Users/u1", patch({ op: "replace", value: { active: true } })],
    ["active as text (Entra)", "PATCH", "/Users/u2", patch({ op: "Replace", path: "active", value: "False" })],
    ["back again", "PATCH", "/Users/u2", patch({ op: "Replace", path: "active", value: true })],
    ["operations in capitals (Entra)", "PATCH", "/Users/u2", patch({ op: "Replace", path: "displayName", value: "Two" }, { op: "Add", path: "name.givenName", value: "Deux" })],
    ["an extension by its path", "PATCH", "/Users/u2", patch({ op: "Add", path: `${ENTERPRISE}:department`, value: "Pharmacy" })],
    ["several at once, without a path", "PATCH", "/Users/u3", patch({ op: "replace", value: { displayName: "Three", externalId: "x3" } })],
    ["a removal", "PATCH", "/Users/u3", patch({ op: "remove", path: "externalId" })],
    ["a removal of what must be", "PATCH", "/Users/u3", patch({ op: "remove", path: "userName" })],
    ["a removal of nothing", "PATCH", "/Users/u3", patch({ op: "remove" })],
    ["an unknown operation", "PATCH", "/Users/u3", patch({ op: "move", path: "displayName", value: "x" })],
    ["what is read-only", "PATCH", "/Users/u3", patch({ op: "replace", path: "id", value: "u9" })],
    ["an unknown attribute", "PATCH", "/Users/u3", patch({ op: "replace", path: "nothing", value: "x" })],
    ["no schema of a PATCH", "PATCH", "/Users/u3", { Operations: [{ op: "replace", path: "active", value: true }] }],
    ["no operation", "PATCH", "/Users/u3", patch()],
    ["a PATCH of nobody", "PATCH", "/Users/u99", patch({ op: "replace", path: "active", value: false })],
    ["a group", "POST", "/Groups", { schemas: [GROUP], displayName: "Nurses", externalId: "g-1", members: [{ value: "u1" }, { value: "u2" }] }],
    ["the same group", "POST", "/Groups", { schemas: [GROUP], displayName: "Nurses" }],
    ["an empty group", "POST", "/Groups", { schemas: [GROUP], displayName: "Doctors" }],
    ["groups by name, without members", "GET", `/Groups?excludedAttributes=members&filter=${encodeURIComponent('displayName eq "Nurses"')}`],
    ["a member comes", "PATCH", "/Groups/g1", patch({ op: "Add", path: "members", value: [{ value: "u3" }] })],
    ["a member who is there comes again", "PATCH", "/Groups/g1", patch({ op: "add", path: "members", value: [{ value: "u3" }] })],
    ["a member goes, by a filter", "PATCH", "/Groups/g1", patch({ op: "remove", path: 'members[value eq "u1"]' })],
    ["a member goes, by a value (Entra)", "PATCH", "/Groups/g1", patch({ op: "Remove", path: "members", value: [{ value: "u2" }] })],
    ["who is in it", "GET", "/Groups/g1"],
    ["a new name", "PATCH", "/Groups/g1", patch({ op: "replace", value: { displayName: "Nurses of the night" } })],
    ["other members", "PUT", "/Groups/g1", { schemas: [GROUP], displayName: "Nurses", members: [{ value: "u4" }] }],
    ["a group is gone", "DELETE", "/Groups/g2"],
    ["and gone", "GET", "/Groups/g2"],
    ["somebody is gone", "DELETE", "/Users/u4"],
    ["and gone, too", "GET", "/Users/u4"],
    ["twice", "DELETE", "/Users/u4"],
    ["all that are left", "GET", "/Users?count=10"],
    ["a resource type", "GET", "/ResourceTypes/User"],
    ["an unknown schema", "GET", "/Schemas/urn:nothing"],
    ["an unknown place", "GET", "/Things"],
];
// What ours does instead, on purpose: its status, and why.
const deviations = {
    "active as text (Entra)": [200, "old jobs of Entra ID send booleans as text; to refuse them would leave a leaver's badge in use"],
    "no filter at all": [400, "SCIMMY takes an operator without a value for a comparison with nothing"],
    "a removal of what must be": [400, "mutability (RFC 7644 §3.5.2.2); SCIMMY says invalidValue"],
    "an extension": [200, "SCIMMY finds nothing by an extension's attribute"],
    "a member who is there comes again": [200, "the group as it is; SCIMMY says 204 where nothing changed"],
    "a page past the end": [200, "SCIMMY gives the first page again"],
    "back again": [200, "SCIMMY was not told that the person was disabled, so that nothing changes"],
    "no operation": [400, "the same failure by another word"],
    "a resource type": [200, "ours has one extension more"],
};

// --- comparing ----------------------------------------------------------------------------------
const ask = async (base, [, method, path, body]) => {
    const answer = await fetch(`${base}/scim/v2${path}`, { method, body: body && JSON.stringify(body), headers: { Authorization: `Bearer ${token}`, ...(body && { "Content-Type": "application/scim+json" }) } });
    const text = await answer.text();
    return { status: answer.status, type: answer.headers.get("content-type")?.split(";")[0], body: text ? JSON.parse(text) : null };
};
const drop = new Set(["meta", "detail", "itemsPerPage" /* SCIMMY: of the request, not of the page */, "$ref", "display", "type", "groups", "schemas", BADGE]);
const plain = (v) => {
    if (Array.isArray(v)) return v.map(plain).filter((x) => x !== undefined);
    if (v === null || typeof v !== "object") return v;
    const o = {};
    for (const k of Object.keys(v).sort())
        if (!drop.has(k)) { const p = plain(v[k]); if (p !== undefined && !(Array.isArray(p) && p.length === 0)) o[k] = p; }
    return o;
};
let n = 0, bad = 0;
for (const step of steps) {
    const ours = await ask(url, step), theirs = await ask(reference, step);
    const isDeviation = deviations[step[0]] !== undefined;
    const same = ours.status === theirs.status && JSON.stringify(plain(ours.body)) === JSON.stringify(plain(theirs.body));
    const good = (ours.body === null || ours.type === "application/scim+json") && (isDeviation ? !same && ours.status === deviations[step[0]][0] : same);
    n++;
    if (!good) {
        bad++;
        console.log(`# theirs ${theirs.status} ${JSON.stringify(plain(theirs.body))}\n# ours   ${ours.status} ${JSON.stringify(plain(ours.body))}`);
    }
    console.log(`${good ? "ok" : "not ok"} ${n} - ${step[0]}${isDeviation && !same ? ` (deviates: ${deviations[step[0]][1]})` : ""}`);
}
console.log(`1..${n}`);
listener.close();
process.exit(bad ? 1 : 0);
