// Our few lines beside htmx on the pages for staff. Every page works without them.
(() => {
  "use strict";
  const find = (selector) => document.querySelector(selector);
  const live = () => find("#live");

  function focus(element) {
    if (!element.matches("a, button, input, select, textarea")) element.tabIndex = -1;
    element.focus();
  }

  function show(id) {
    const main = find("#main");
    main.querySelector(".note")?.remove();
    main.prepend(find("#" + id).content.cloneNode(true));
    focus(main.querySelector(".note"));
  }

  // Keys: only where nothing is typed, never with a modifier, and only if wanted.
  function step(by) {
    const rows = [...document.querySelectorAll(".jk")];
    if (!rows.length) return;
    const here = rows.findIndex((row) => row.contains(document.activeElement));
    const row = rows[Math.min(Math.max(here + by, 0), rows.length - 1)];
    focus(row.querySelector("a, button") ?? row);
    row.scrollIntoView({ block: "nearest" });
  }
  const keys = {
    "/": () => find("[data-search]")?.focus(),
    "?": () => find("#keys").showModal?.(),
    "[": () => find("a[rel=prev]")?.click(),
    "]": () => find("a[rel=next]")?.click(),
    j: () => step(1),
    k: () => step(-1),
  };
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest?.("input, select, textarea, dialog, [contenteditable]");
    const held = event.ctrlKey || event.altKey || event.metaKey;
    if (typing || held || document.body.dataset.shortcuts === "off" || !keys[event.key]) return;
    event.preventDefault();
    keys[event.key]();
  });

  // Copy buttons are hidden where there is no script to make them work.
  function ready() {
    for (const button of document.querySelectorAll("[data-copy][hidden]")) button.hidden = false;
  }
  document.addEventListener("click", async (event) => {
    const button = event.target.closest?.("[data-copy]");
    if (!button) return;
    const field = find(button.dataset.copy);
    field.select();
    try {
      await navigator.clipboard.writeText(field.value);
    } catch {
      document.execCommand("copy");
    }
    live().textContent = live().dataset.copied;
  });
  ready();

  document.addEventListener("htmx:before:request", (event) => {
    const { submitter } = event.detail.ctx.request;
    if (!submitter) return;
    submitter.setAttribute("aria-busy", "true");
    live().textContent = live().dataset.busy;
  });
  document.addEventListener("htmx:finally:request", (event) => {
    const { request } = event.detail.ctx;
    if (!request.submitter) return;
    request.submitter.removeAttribute("aria-busy");
    live().textContent = "";
  });

  // After a swap the focus goes to the news, or back to what had it.
  document.addEventListener("htmx:before:swap", ({ detail: { ctx } }) => {
    const held = document.activeElement;
    ctx.held = held?.id;
    ctx.within = held && held !== document.body;
    ctx.news = document.querySelectorAll("#main > .note");
  });
  document.addEventListener("htmx:after:swap", ({ detail: { ctx } }) => {
    ready();
    // What was said about the press before is over.
    if (ctx.request.method !== "GET") for (const note of ctx.news) note.remove();
    const wanted = ctx.request.method !== "GET" && find("#main [autofocus]");
    if (wanted) return focus(wanted);
    if (!ctx.within || document.activeElement !== document.body) return;
    const same = ctx.held && document.getElementById(ctx.held);
    if (same) focus(same);
  });
  document.addEventListener("htmx:error", (event) => {
    const { ctx } = event.detail;
    if (ctx?.request.method !== "GET" && !ctx.response) show("offline");
  });
})();
