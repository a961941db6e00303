// The opt-in widget: <prefcenter-optin> around a plain form, which stays for browsers and pages
// that stop us. tools/widget.py makes widget.min.js of these lines, a function of C: the texts and
// colours of one site, which prefcenter/web/embed.py puts in. So there is no global. Run that tool
// after every change here.

// First of all: where a browser has no constructed style sheets, we stop here and now.
const dress = (text) => {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(text);
  return sheet;
};
const sheets = C.css.map(dress);

// No innerHTML anywhere: the page may ask for Trusted Types.
const make = (tag, attributes, ...children) => {
  const element = document.createElement(tag);
  for (const key in attributes) element.setAttribute(key, attributes[key]);
  element.append(...children);
  return element;
};

// A text comes in pieces: plain words, [word] for digits and what networks act on, which no
// direction and no translator may change, and [name, path] for a document of ours.
const spell = (pieces, digits) =>
  pieces.map((piece) =>
    piece.trim ? piece
    : piece[1] ? make("a", { href: new URL(piece[1], C.url), target: "_blank" }, piece[0])
    : make("b", { dir: "ltr", translate: "no" }, piece[0] || digits),
  );

const ask = async (path, more) => {
  const safe = { credentials: "omit", ...more };
  return (await fetch(C.url + path, safe)).json();
};

const bytes = (hex) => Uint8Array.from(hex.match(/../g), (pair) => "0x" + pair);

// The proof of work of ALTCHA, version 2: the counter whose derived key starts as asked for.
// Each step is one small job of the browser's own threads, so typing stays smooth.
const solve = async (challenge) => {
  const asked = challenge.parameters;
  const password = Uint8Array.of(...bytes(asked.nonce), 0, 0, 0, 0);
  for (let tries = 0; tries < 3e4; tries++) {
    password.set([tries >> 8, tries], password.length - 2);
    const derived = await crypto.subtle.deriveBits(
      { name: "PBKDF2", hash: "SHA-256", salt: bytes(asked.salt), iterations: asked.cost },
      await crypto.subtle.importKey("raw", password, "PBKDF2", false, ["deriveBits"]),
      asked.keyLength * 8,
    );
    const hex = (octet) => octet.toString(16).padStart(2, 0);
    const found = Array.from(new Uint8Array(derived), hex).join("");
    if (found.startsWith(asked.keyPrefix)) {
      return btoa(JSON.stringify({ challenge, solution: { counter: tries, derivedKey: found } }));
    }
  }
};

// What shows that a browser did some work for us, as soon as the server takes it.
const prepare = async () => {
  const given = await ask("/challenge");
  const pause = new Promise((go) => setTimeout(go, given.ready_in * 1e3 + 100));
  const solved = await solve(given.work);
  await pause;
  return { form_token: given.token, work: solved };
};

// Fills the element; gives the function that draws it anew and returns the field to type in.
const build = (host) => {
  const internals = host.attachInternals();
  const own = (option) => host.getAttribute(option) || "";
  const isField = host.hasAttribute("field");
  const root = document.documentElement;
  // Of our own frame page alone: the page around it, if that is one of the site's.
  const around = root.dataset.prefcenterFrame;
  const T = C.texts[(host.closest("[lang]") || host).lang.split("-")[0]] || C.texts[C.language];
  const land = (own("country").match(/^[a-z]{2}$/i) || [C.country])[0].toUpperCase();
  const region = new Intl.DisplayNames(T.lang, { type: "region", style: "short" }).of(land);
  const level = "h" + (own("heading") || 2);
  // Its own words say which way they run, whatever the page around them does.
  const all = make("div", { lang: T.lang, dir: "auto" });
  // Never with the number.
  const tell = (event, detail) =>
    host.dispatchEvent(
      new CustomEvent("prefcenter:" + event, { bubbles: true, composed: true, cancelable: true, detail }),
    );
  const plain = (kind) => [...host.querySelectorAll("input" + kind)];

  const draw = () => {
    // One for the number, one for the box, one for all else.
    const slots = [1, 2, 3].map((place) =>
      make("p", { id: "error" + place, part: "error", role: "alert" }),
    );
    const typing = make("input", {
      id: "number",
      name: "number",
      type: "tel",
      inputmode: "tel",
      autocomplete: "tel",
      dir: "ltr",
      part: "input",
      "aria-describedby": "hint error1",
    });
    const tick = make("input", {
      name: "consent",
      type: "checkbox",
      value: "yes",
      "aria-describedby": "error2",
    });
    const fields = [
      make("label", { for: "number" }, T.label),
      make("small", { id: "hint" }, T.hint.replace("{}", region)),
      slots[0],
      typing,
      slots[1],
      // Without a part: what is stored as agreed to is what stood here.
      make("label", { class: "terms" }, tick, make("span", {}, ...spell(T.consent))),
      slots[2],
    ];
    const missing = () =>
      !typing.value.trim() && T.number.replace("{}", land == C.country ? C.example : "+…");
    const show = (form) => all.replaceChildren(make("div", { part: "box" }), form);

    // Part of the host's own form, which sends the number, and only with a tick. We send nothing.
    if (isField) {
      const update = () => {
        const answer = new FormData();
        answer.set("sms_number", typing.value);
        answer.set("sms_consent", "yes");
        answer.set("sms_text_version", T.version);
        internals.setFormValue(tick.checked ? answer : null);
        if (tick.checked && missing()) internals.setValidity({ valueMissing: true }, missing(), typing);
        else internals.setValidity({});
      };
      all.oninput = update;
      update();
      show(make("div", {}, ...fields));
      return typing;
    }

    const press = make("button", { part: "button" }, T.button);
    const hidden = {
      lang: T.lang,
      text_version: T.version,
      button: T.button,
      source: own("source"),
      country: land,
      page: around || location.href.split(/[?#]/)[0],
    };
    const form = make(
      "form",
      { method: "post", action: C.url },
      make(level, {}, T.heading),
      make("small", {}, T.about),
      ...fields,
      make("input", { name: "leave_empty", tabindex: -1, autocomplete: "off", "aria-hidden": true }),
      press,
      ...Object.entries(hidden).map((entry) =>
        make("input", { type: "hidden", name: entry[0], value: entry[1] }),
      ),
    );
    let pass;
    let until = 0;
    let isBusy;

    // A pass is good for an hour.
    const ready = () => {
      if (Date.now() > until) {
        until = Date.now() + 33e5;
        pass = prepare();
        pass.catch(() => (until = 0));
      }
      return pass;
    };
    const busy = (is) => {
      isBusy = is;
      press.ariaBusy = is;
      press.textContent = is ? T.busy : T.button;
    };
    const fail = (reason, ...said) => {
      slots.map((where, place) => (where.textContent = said[place] || ""));
      typing.ariaInvalid = !!said[0];
      tick.ariaInvalid = !!said[1];
      (said[0] ? typing : said[1] ? tick : press).focus();
      if (reason) tell("error", { reason });
    };
    const send = async (isLast) => {
      const filled = new URLSearchParams(new FormData(form));
      for (const entry of Object.entries(await ready())) filled.set(...entry);
      const answer = await ask("", {
        method: "POST",
        body: filled,
        headers: { Accept: "application/json" },
      });
      const errors = answer.errors || {};
      if (answer.status == "sent") {
        const again = make("button", { part: "button" }, T.again);
        const done = make(
          "div",
          { role: "status", tabindex: -1 },
          make(level, {}, T.look),
          make("p", {}, ...spell(T.sent, answer.last4)),
          make("p", {}, ...spell(T.text, answer.number)),
          make("p", {}, answer.help),
          again,
        );
        again.onclick = () => draw().focus();
        show(done);
        done.focus();
        tell("sent", { id: crypto.randomUUID() });
      } else if (answer.status == "stale" && !isLast) {
        // Too old all the same, such as after a clock was set: once more, by itself.
        until = 0;
        await send(true);
      } else fail(answer.status, errors.number, errors.consent, answer.message || errors.categories);
    };

    form.addEventListener(
      "focusin",
      () => {
        ready().catch(() => {});
        // What the page's own form holds besides, such as return_to. It is read this late because
        // the page's parser may have been at our start tag when we were built.
        const more = plain("[type=hidden]").filter((field) => !form[field.name]);
        form.append(...more.map((field) => field.cloneNode()));
      },
      { once: true },
    );
    form.onsubmit = async (event) => {
      event.preventDefault();
      if (isBusy) return;
      const wrong = [missing(), !tick.checked && T.tick];
      if (wrong[0] || wrong[1]) return fail("invalid", ...wrong);
      if (!tell("submit")) return;
      fail();
      busy(true);
      try {
        await send();
        busy(false);
      } catch {
        busy(false);
        if (!navigator.onLine) return fail("offline", 0, 0, T.offline);
        // We were reached before, so this is the line or our server, and what was typed stays.
        if (until) return fail("failed", 0, 0, T.failed);
        // The page's policy or the browser lets us fetch nothing: this is a real form, too.
        tell("error", { reason: "blocked" });
        form.submit();
      }
    };
    show(form);
    return typing;
  };

  // Where the person was and what they typed before we came.
  const before = plain("[type=tel]")[0];
  const wasHere = host.contains(document.activeElement);
  const typing = draw();
  if (before) typing.value = before.value;
  if (isField) {
    // The plain fields stay in that form, unseen: they must not send a second answer.
    const mute = () => plain("").map((field) => (field.disabled = true));
    addEventListener("DOMContentLoaded", mute);
    mute();
  }
  // As high as before at least, so that what stands below stays where it is; in our frame nothing
  // stands below, and its page is told each height.
  const room = dress(`:host{min-height:${around ? 0 : host.offsetHeight}px!important}`);
  const shadow = host.attachShadow({ mode: "open", delegatesFocus: isField });
  shadow.adoptedStyleSheets = [...sheets.slice(host.hasAttribute("unstyled")), room];
  shadow.append(all);
  if (wasHere) typing.focus();
  // Its height, to exactly that page's origin.
  if (around && parent != window) {
    new ResizeObserver(() =>
      parent.postMessage({ type: "prefcenter:height", height: root.offsetHeight }, around),
    ).observe(root);
  }
  tell("ready");
  return draw;
};

// Once, however often the script is loaded; an element that the page moves keeps what it is.
customElements.get("prefcenter-optin") ||
  customElements.define(
    "prefcenter-optin",
    class extends HTMLElement {
      static formAssociated = true;
      #draw;
      connectedCallback() {
        this.#draw ||= build(this);
      }
      formResetCallback() {
        this.#draw?.();
      }
    },
  );
