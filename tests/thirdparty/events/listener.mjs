// A relying system: takes what tessered posts, has other people's code verify it, and writes down a
// line of JSON for each post. Its behaviour is a word in a file, read at each post, so that a test
// can change it: ok, slow, close, redirect, long, or a status.
//   listener.mjs PORT LOG BEHAVIOUR [CERTIFICATE KEY]
// WEBHOOK_SECRET: whsec_...; JWT_KEY, JWT_ISSUER, JWT_AUDIENCE: PEM of a public key, and who.
import fs from "node:fs";
import http from "node:http";
import https from "node:https";
import { createRequire } from "node:module";
const require = createRequire(process.env.MODULES + "/");
const { Webhook } = require("standardwebhooks");
const jose = require("jose");
const [port, log, behaviour, certificate, key] = process.argv.slice(2);

function webhook(headers, body) {
    const told = new Webhook(process.env.WEBHOOK_SECRET).verify(body, headers);
    return { id: headers["webhook-id"], type: told.type, data: told.data, timestamp: told.timestamp };
}

async function jwt(token, typ) {
    const pem = fs.readFileSync(process.env.JWT_KEY, "utf8");
    const { payload, protectedHeader } = await jose.jwtVerify(token, await jose.importSPKI(pem, "ES256"), {
        issuer: process.env.JWT_ISSUER, audience: process.env.JWT_AUDIENCE, typ });
    return { id: payload.jti, alg: protectedHeader.alg, payload };
}

async function judge(headers, body) {
    switch (headers["content-type"]) {
    case "application/json": return webhook(headers, body);
    case "application/secevent+jwt": return jwt(body, "secevent+jwt");
    default: return jwt(new URLSearchParams(body).get("logout_token"), "logout+jwt");
    }
}

function answer(how, request, response, is_set) {
    if (how === "ok") response.writeHead(is_set ? 202 : 204).end();
    else if (how === "close") request.socket.destroy();
    else if (how === "slow") setTimeout(() => response.writeHead(204).end(), 60000).unref();
    else if (how === "redirect") response.writeHead(307, { Location: "/redirected" }).end();
    else if (how === "long") response.writeHead(200).end("x".repeat(100000));
    else if (how.startsWith("err:")) response.writeHead(400, { "Content-Type": "application/json" }).end(JSON.stringify({ err: how.slice(4) }));
    else response.writeHead(Number(how)).end();
}

async function serve(request, response) {
    let body = "";
    request.setEncoding("utf8");
    for await (const part of request) body += part;
    const how = fs.readFileSync(behaviour, "utf8").trim();
    let told;
    try { told = await judge(request.headers, body); } catch (e) { told = { wrong: String(e) }; }
    fs.appendFileSync(log, JSON.stringify({ url: request.url, how, authorization: request.headers.authorization, ...told, raw: { headers: request.headers, body } }) + "\n");
    answer(how, request, response, request.headers["content-type"] === "application/secevent+jwt");
}

const server = certificate
    ? https.createServer({ cert: fs.readFileSync(certificate), key: fs.readFileSync(key) }, serve)
    : http.createServer(serve);
server.listen(Number(port), "127.0.0.1", () => fs.writeFileSync(log + ".ready", ""));
