// Filters and patches, by scim2-parse-filter and scim-patch: thousands of them, drawn from a seed, over
// resources that are drawn too. Usage: language.mjs PROGRAM. TAP output.
//
// Where ours deviates on purpose, nothing is drawn:
//  - text that the schema calls not case exact is compared without regard to case; theirs always with:
//    all that is drawn is in small letters;
//  - `ne` is true where there is no value, and of several values when none is equal (RFC 7644 leaves it
//    open; a rule "not this department" must find who has none): drawn for single values that are there;
//  - null is equal to what is absent: not drawn;
//  - in attribute[…] every value is tried by itself (RFC 7644 §3.5.2: "the values that match"); theirs tries
//    the list as a whole, so that two values together fit an "and": one comparison stands there;
//  - what is to be removed and is gone already is no error, also from a list that is empty by now (who
//    sends the same again must not fail): somebody always stays in a group;
//  - a PATCH of what is read-only, and of what is not kept, is refused or passed over: not drawn.
import { spawnSync } from "node:child_process";
import { parse, filter as test } from "scim2-parse-filter";
import { scimPatch } from "scim-patch";

const ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
let seed = Number(process.env.SEED ?? 20261128);
const random = (n) => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return Math.floor((seed / 2 ** 32) * n);
};
const pick = (list) => list[random(list.length)];
const word = () => pick(["ann", "anna", "bob", "bo", "carl", "a b", "o'neil", 'q"q', "", "é"]);
const day = () => `2026-0${1 + random(3)}-0${1 + random(3)}T00:00:00Z`;
const maybe = (o, name, v) => { if (random(3)) o[name] = v; };

const person = () => {
    const o = { userName: word() + random(5), active: random(2) === 1, meta: { created: day() } };
    maybe(o, "displayName", "d" + word());
    maybe(o, "externalId", "e" + word());
    if (random(2)) { o.name = { familyName: "f" + word() }; maybe(o.name, "givenName", "g" + word()); }
    if (random(2)) o.groups = [...Array(1 + random(3))].map(() => ({ value: "g" + random(4), display: "x" + word() }));
    if (random(2)) o[ENTERPRISE] = { department: "p" + word() };
    return o;
};
const text = JSON.stringify;
const texts = ["userName", "displayName", "externalId", "name.familyName", "name.givenName", "title", `${ENTERPRISE}:department`, "groups.value", "groups.display"];
const comparison = (inside) => {
    const n = random(10);
    const name = inside ? pick(["value", "display"]) : pick(texts);
    if (n === 0) return `${inside ? name : pick([...texts, "name", "groups", "active"])} pr`;
    if (!inside && n === 1) return `active ${pick(["eq", "ne"])} ${pick(["true", "false"])}`;
    if (!inside && n === 2) return `meta.created ${pick(["eq", "gt", "ge", "lt", "le"])} ${text(day())}`;
    if (!inside && n === 3) return `userName ne ${text(word() + random(5))}`;
    if (!inside && n === 4) return `groups[${comparison(true)}]`;
    return `${name} ${pick(["eq", "co", "sw", "ew", "gt", "ge", "lt", "le"])} ${text(pick(["", "d", "e", "f", "g", "x", "p"]) + word())}`;
};
const expression = (depth, inside = false) => {
    const n = depth > 0 ? random(5) : 4;
    if (n === 0) return `not (${expression(depth - 1, inside)})`;
    if (n === 1) return `(${expression(depth - 1, inside)})`;
    if (n < 4) return `${expression(depth - 1, inside)} ${pick(["and", "or"])} ${expression(depth - 1, inside)}`;
    return comparison(inside);
};

const group = () => ({ displayName: "n" + word(), members: [...new Set(["u9", ...[...Array(1 + random(4))].map(() => "u" + random(6))])].map((value) => ({ value })) });
const operation = (isGroup) => {
    const member = () => ({ value: "u" + random(6) });
    if (isGroup) return pick([
        () => ({ op: "remove", path: `members[value eq "u${random(6)}"]` }),
        () => ({ op: "replace", path: "displayName", value: "m" + word() }),
        () => ({ op: "replace", path: "members", value: [{ value: "u9" }, member()] }),
        () => ({ op: "add", path: "members", value: [member()] }),
        () => ({ op: "remove", path: "members", value: [member()] }),
    ])();
    return pick([
        () => ({ op: pick(["add", "replace", "Add", "Replace"]), path: "active", value: random(2) === 1 }),
        () => ({ op: pick(["add", "replace"]), path: pick(["displayName", "externalId", "userName"]), value: "v" + word() }),
        () => ({ op: pick(["add", "replace"]), path: pick(["name.familyName", "name.givenName"]), value: "w" + word() }),
        () => ({ op: pick(["add", "replace"]), path: `${ENTERPRISE}:department`, value: "x" + word() }),
        () => ({ op: pick(["add", "replace"]), value: { displayName: "y" + word(), active: random(2) === 1 } }),
        () => ({ op: "remove", path: pick(["displayName", "externalId"]) }),
    ])();
};

const cases = [];
for (let i = 0; i < 20000; i++) {
    const asked = { filter: expression(3), resource: person() };
    let wanted = null;
    try { wanted = test(parse(asked.filter))(asked.resource); } catch { wanted = null; }
    cases.push({ asked, wanted });
}
const filters = cases.length;
for (let i = 0; i < 20000; i++) {
    const isGroup = random(2) === 1;
    const resource = isGroup ? group() : person();
    delete resource.groups;
    delete resource.meta;
    const Operations = [...Array(1 + random(3))].map(() => operation(isGroup));
    const asked = { patch: { schemas: ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], Operations }, resource };
    let wanted = null;
    try { wanted = scimPatch(structuredClone(resource), structuredClone(Operations)); } catch { wanted = null; }
    cases.push({ asked, wanted });
}
const run = spawnSync(process.argv[2], { input: cases.map((c) => JSON.stringify(c.asked)).join("\n") + "\n", maxBuffer: 1 << 28 });
const got = run.stdout.toString().trim().split("\n").map((l) => JSON.parse(l));
// in one order, and without what is empty
const plain = (v) => Array.isArray(v) ? v.map(plain).sort((a, b) => (text(a) < text(b) ? -1 : 1))
    : v !== null && typeof v === "object" ? Object.fromEntries(Object.keys(v).sort().map((k) => [k, plain(v[k])]).filter(([, x]) => x !== undefined && !(typeof x === "object" && x !== null && Object.keys(x).length === 0)))
    : v;
let bad = [0, 0];
cases.forEach((c, i) => {
    if (text(plain(c.wanted)) === text(plain(got[i]))) return;
    const kind = i < filters ? 0 : 1;
    if (bad[kind]++ < 5) console.log(`# ${JSON.stringify(c.asked)}\n#   theirs ${text(plain(c.wanted))}\n#   ours   ${text(plain(got[i]))}`);
});
const fit = cases.slice(0, filters).filter((c) => c.wanted === true).length;
console.log(`# ${filters} filters, of which ${fit} fit; ${cases.length - filters} patches`);
console.log(`${bad[0] === 0 && got.length === cases.length ? "ok" : "not ok"} 1 - filters are what scim2-parse-filter says they are`);
console.log(`${bad[1] === 0 ? "ok" : "not ok"} 2 - patches do what scim-patch does`);
console.log("1..2");
process.exit(bad[0] + bad[1] === 0 && got.length === cases.length ? 0 : 1);
