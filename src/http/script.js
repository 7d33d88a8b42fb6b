// The login page while it waits: hears how things stand, shows it, seals a PIN, goes on after a tap.
"use strict";
(() => {
    const by = id => document.getElementById(id);
    const say = by("say");
    const finish = by("finish-form");
    const form = by("pin-form");
    const digits = by("digits");
    if (!say || !finish) return;
    let tap = "", isDone = false, isLeft = false, keeps = false;

    const show = (id, is) => { by(id).hidden = !is; };
    const tell = (text, isRefused) => {
        if (say.textContent !== text) say.textContent = text;
        say.className = isRefused ? "refused" : "";
    };

    const field = (of, name) => of.elements.namedItem(name).value;
    const query = new URLSearchParams({ c: field(finish, "c"),
        client_id: new URLSearchParams(field(finish, "request")).get("client_id"),
        ui_locales: document.documentElement.lang });
    let events, errors = 0, silence = 0;
    const heard = e => {
        errors = 0;
        watch();
        const s = JSON.parse(e.data);
        const wasHidden = by("pin").hidden;
        tap = s.tap;
        show("choose", s.stand === "choose");
        show("pin", s.stand === "pin");
        show("what", s.stand === "waits");
        document.body.dataset.stand = s.stand;
        if (s.stand === "pin" && (wasHidden || document.activeElement === document.body)) digits.focus();
        if (!(keeps && s.stand === "pin" && !s.refused)) tell(s.say, s.refused);
        keeps = s.refused;
        if (s.stand === "tapped" && !isDone) {
            isDone = true;
            events.close();
            finish.submit();
        }
        if (s.stand === "over" && !isDone) {
            events.close();
            setTimeout(() => location.reload(), isLeft ? 5000 : 0);
        }
    };
    // The server answers with one event, at the latest after 20 seconds, and the browser asks again: one end
    // is none of trouble. Two without an event between them are, and so is a longer silence. Then we ask
    // ourselves: a browser would wait longer and longer.
    const lost = () => {
        if (isDone) return;
        keeps = false;
        tell(say.dataset.lost, true);
        events.close();
        setTimeout(listen, 1000);
    };
    const watch = () => {
        clearTimeout(silence);
        silence = setTimeout(lost, 30000);
    };
    const listen = () => {
        watch();
        events = new EventSource("/signon/events?" + query);
        events.addEventListener("stand", heard);
        events.onerror = () => {
            if (events.readyState === EventSource.CLOSED)
                fetch("/signon/style.css", { cache: "no-store" }).then(() => setTimeout(() => location.reload(), 3000), lost);
            else if (errors++ > 0) lost();
        };
    };
    // A page that is being left must not come in the way of what comes after it.
    addEventListener("beforeunload", () => { isLeft = true; });
    document.addEventListener("submit", e => {
        if (e.target === form) return;
        isDone = true;
        events.close();
    });
    listen();

    // HPKE (RFC 9180), base mode, DHKEM(P-256, HKDF-SHA256), HKDF-SHA256, AES-128-GCM: one message.
    const bytes = text => new TextEncoder().encode(text);
    const join = (...parts) => {
        const all = new Uint8Array(parts.reduce((n, p) => n + p.length, 0));
        parts.reduce((at, p) => (all.set(p, at), at + p.length), 0);
        return all;
    };
    const unhex = text => Uint8Array.from(text.match(/../g), pair => parseInt(pair, 16));
    const hex = all => Array.from(all, b => b.toString(16).padStart(2, "0")).join("");
    const two = n => Uint8Array.of(n >> 8, n & 255);
    const hmac = async (key, data) => {
        const k = await crypto.subtle.importKey("raw", key, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
        return new Uint8Array(await crypto.subtle.sign("HMAC", k, data));
    };
    const version = bytes("HPKE-v1");
    const extract = (suite, salt, label, ikm) =>
        hmac(salt.length ? salt : new Uint8Array(32), join(version, suite, bytes(label), ikm));
    const expand = async (suite, prk, label, info, length) =>
        (await hmac(prk, join(two(length), version, suite, bytes(label), info, Uint8Array.of(1)))).slice(0, length);

    const seal = async (point, info, aad, text) => {
        const curve = { name: "ECDH", namedCurve: "P-256" };
        const theirs = await crypto.subtle.importKey("raw", point, curve, false, []);
        const ours = await crypto.subtle.generateKey(curve, false, ["deriveBits"]);
        const enc = new Uint8Array(await crypto.subtle.exportKey("raw", ours.publicKey));
        const dh = new Uint8Array(await crypto.subtle.deriveBits({ name: "ECDH", public: theirs }, ours.privateKey, 256));
        const kem = join(bytes("KEM"), two(0x0010));
        const none = new Uint8Array();
        const shared = await expand(kem, await extract(kem, none, "eae_prk", dh), "shared_secret", join(enc, point), 32);
        const suite = join(bytes("HPKE"), two(0x0010), two(0x0001), two(0x0001));
        const context = join(Uint8Array.of(0), await extract(suite, none, "psk_id_hash", none),
            await extract(suite, none, "info_hash", info));
        const secret = await extract(suite, shared, "secret", none);
        const key = await crypto.subtle.importKey("raw", await expand(suite, secret, "key", context, 16), "AES-GCM", false, ["encrypt"]);
        const iv = await expand(suite, secret, "base_nonce", context, 12);
        const box = await crypto.subtle.encrypt({ name: "AES-GCM", iv, additionalData: aad }, key, text);
        return join(enc, new Uint8Array(box));
    };

    const send = async typed => {
        const text = new Uint8Array(16);
        text.set(bytes(typed));
        const box = await seal(unhex(digits.dataset.key), bytes("tessere-pin/v1"), bytes(tap), text);
        const body = new URLSearchParams(new FormData(form));
        body.set("box", hex(box));
        const answer = await fetch("/signon/pin", { method: "POST", body });
        const said = await answer.json();
        if (said.outcome !== "ok") {
            keeps = true;
            tell(said.say, true);
        }
    };
    form.addEventListener("submit", async e => {
        e.preventDefault();
        const typed = digits.value;
        digits.value = "";
        digits.focus();
        if (!/^[0-9]{1,12}$/.test(typed)) return tell(digits.dataset.digits, true);
        if (!window.crypto || !crypto.subtle) return tell(digits.dataset.none, true);
        const button = form.querySelector("button");
        button.disabled = true;
        try {
            await send(typed);
        } catch (_) {
            tell(say.dataset.lost, true);
        }
        button.disabled = false;
    });
})();
