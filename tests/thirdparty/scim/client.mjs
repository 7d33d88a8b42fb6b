// A SCIM client that is not ours, Gluu's scim-node, does what a directory does with people and groups.
// It asks for its token as UMA has it and for a path of its own: a stand-in here hands the token out and
// passes every request on as it came. Usage: client.mjs URL TOKEN KEY, with NODE_EXTRA_CA_CERTS; KEY:
// an RSA key (PEM) for the client's assertion. TAP output.
import http from "node:http";
import https from "node:https";
import scimNode from "scim-node";

console.log = ((log) => (line) => typeof line === "string" && log(line))(console.log); // the client prints what it finds

const [url, token, key] = process.argv.slice(2);
const PATH = "/identity/restv1";
const passed = []; // [method, path, status] of what our server answered

function handOut(request, response) {
    if (request.url === "/.well-known/uma2-configuration") response.end(JSON.stringify({ token_endpoint: `${domain}/token` }));
    else if (request.url === "/token") response.end(JSON.stringify({ access_token: token }));
    else return false;
    return true;
}

/** Gluu's server has two more resources, of which the client wants to know where they are. */
const withGluusOwn = (body) => {
    const list = JSON.parse(body);
    list.Resources.push({ id: "FidoDevice", endpoint: "/v2/Fido" }, { id: "Fido2Device", endpoint: "/v2/Fido2" });
    for (const r of list.Resources) r.endpoint = `/scim/v2${r.endpoint}`;
    return JSON.stringify(list);
};

function pass(request, response) {
    const path = request.url.slice(PATH.length);
    const toServer = https.request(url + path, { method: request.method, headers: { ...request.headers, host: new URL(url).host } }, (answer) => {
        const parts = [];
        answer.on("data", (part) => parts.push(part));
        answer.on("end", () => {
            let body = Buffer.concat(parts);
            const headers = { ...answer.headers };
            if (path.endsWith("/ResourceTypes")) body = withGluusOwn(body);
            delete headers["content-length"];
            if (answer.statusCode === 401) headers["www-authenticate"] = `UMA as_uri="${domain}", ticket="one"`;
            passed.push([request.method, path.replace(/\?.*/, ""), answer.statusCode]);
            response.writeHead(answer.statusCode, headers).end(body);
        });
    });
    request.pipe(toServer);
}

/** What the client sends to the discovery endpoints has no token, which ours asks for there as well. */
const standIn = http.createServer((request, response) => {
    if (handOut(request, response)) return;
    if (/(ServiceProviderConfig|ResourceTypes)$/.test(request.url)) request.headers.authorization = `Bearer ${token}`;
    pass(request, response);
});
await new Promise((r) => standIn.listen(0, "127.0.0.1", r));
const domain = `http://127.0.0.1:${standIn.address().port}`;
const { scim2: client } = scimNode({ domain, privateKey: key, clientId: "directory", keyAlg: "RS256", keyId: "one" });

let count = 0, bad = 0;
async function check(name, what) {
    let why = "";
    try {
        if (!(await what())) why = "not as it must be";
    } catch (error) {
        why = `${error.statusCode ?? ""} ${String(error.error ?? error.stack ?? error).slice(0, 600)}`;
    }
    console.log(`${why ? "not ok" : "ok"} ${++count} - ${name}${why ? `\n# ${why.replace(/\n/g, "\n# ")}` : ""}`);
    bad += why ? 1 : 0;
}
const refused = async (status, what) => {
    const error = await what().then(() => null, (e) => e);
    return error?.statusCode === status && JSON.parse(error.error).schemas[0] === "urn:ietf:params:scim:api:messages:2.0:Error";
};
const asked = async (what) => JSON.parse(await what);
const person = (n) => ({ userName: `nurse${n}@example.org`, externalId: `n-${n}`, displayName: `Nurse ${n}`, active: true, name: { givenName: "Given", familyName: `Family ${n}` } });

let anne, ward;
const before = { people: (await asked(client.getUsersCount())).totalResults, groups: (await asked(client.getGroupCount())).totalResults };
await check("five people join", async () => {
    for (const n of [1, 2, 3, 4, 5]) anne = await asked(client.addUser(person(n)));
    return anne.id && anne.userName === "nurse5@example.org" && anne.active === true && anne.meta.resourceType === "User";
});
await check("who is there already is refused", () => refused(409, () => client.addUser(person(5))));
await check("people are counted", async () => (await asked(client.getUsersCount())).totalResults === before.people + 5);
await check("they come by pages", async () => {
    const ours = 'externalId sw "n-"';
    const [first, second] = [await asked(client.getUsers(1, 3, ours)), await asked(client.getUsers(4, 3, ours))];
    return first.itemsPerPage === 3 && second.itemsPerPage === 2 && new Set([...first.Resources, ...second.Resources].map((r) => r.id)).size === 5;
});
await check("one is found by a filter", async () => (await asked(client.getUsers(1, 10, 'userName eq "nurse5@example.org"'))).Resources[0].id === anne.id);
await check("and by a search", async () => (await asked(client.searchUsers('externalId eq "n-5"', 1, 10))).Resources[0].id === anne.id);
await check("one is shown", async () => (await asked(client.getUser(anne.id))).displayName === "Nurse 5");
await check("a group is made of two", async () => {
    const two = (await asked(client.getUsers(1, 2, 'externalId sw "n-"'))).Resources;
    ward = await asked(client.addGroup({ displayName: "Ward 7", members: two.map((r) => ({ value: r.id })) }));
    return ward.members.length === 2;
});
await check("it gets another member", async () => (await asked(client.editGroup(ward.id, { displayName: "Ward 7", members: [...ward.members, { value: anne.id }] }))).members.length === 3);
await check("a mover is told", async () => (await asked(client.getUser(anne.id))).groups.some((g) => g.value === ward.id));
await check("groups are counted and shown", async () => (await asked(client.getGroupCount())).totalResults === before.groups + 1 && (await asked(client.getGroup(ward.id))).displayName === "Ward 7");
await check("a leaver is written", async () => (await asked(client.editUser(anne.id, { ...person(5), active: false }))).active === false);
await check("a leaver is removed", async () => (await client.removeUser(anne.id), refused(404, () => client.getUser(anne.id))));
await check("and is in no group", async () => (await asked(client.getGroup(ward.id))).members.length === 2);
await check("the group is dissolved", async () => (await client.removeGroup(ward.id), (await asked(client.getGroupCount())).totalResults === before.groups));
await check("who is not there is not found", () => refused(404, () => client.getUser("18446744073709551615")));
await check("a filter that is none is refused", () => refused(400, () => client.getUsers(1, 5, "userName eq")));
await check("every request was the client's own", () => passed.filter(([, path]) => /\/(Users|Groups)/.test(path)).length > 40);
console.log(`1..${count}`);
standIn.close();
process.exit(bad ? 1 : 0);
