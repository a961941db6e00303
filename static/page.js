// Our few lines beside htmx. Every page works without them, and nothing here sends anything:
// they say "Saving…", move the focus to the news, and tell of a lost connection.
(() => {
  "use strict";
  const find = (selector) => document.querySelector(selector);
  const top = (element) => element.getBoundingClientRect().top;

  function focus(element) {
    element.tabIndex = -1;
    element.focus();
  }

  // Show one of the page's own <template> notes; what was ticked or typed stays as it is.
  function show(id) {
    const main = find("#main");
    main.querySelector(".note")?.remove();
    main.prepend(find("#" + id).content.cloneNode(true));
    focus(main.querySelector(".note"));
  }

  document.addEventListener("htmx:before:request", (event) => {
    const { submitter } = event.detail.ctx.request;
    if (!submitter) return;
    event.detail.ctx.label = submitter.textContent;
    submitter.setAttribute("aria-busy", "true");
    submitter.textContent = find("#live").textContent = find("#live").dataset.busy;
  });

  document.addEventListener("htmx:finally:request", (event) => {
    const { label, request } = event.detail.ctx;
    if (label === undefined) return;
    request.submitter.removeAttribute("aria-busy");
    request.submitter.textContent = label;
    find("#live").textContent = "";
  });

  // A proxy's own error page has none of our content: keep ours and say so.
  document.addEventListener("htmx:before:swap", (event) => {
    const { ctx } = event.detail;
    ctx.held = document.activeElement;
    ctx.top = top(ctx.held);
    if (ctx.request.method !== "POST" || ctx.text.includes('id="main"')) return;
    event.preventDefault();
    show("failed");
  });

  // Where a page refreshes itself, what has the focus stays where it is in the window.
  document.addEventListener("htmx:after:swap", ({ detail: { ctx } }) => {
    const wanted = find("#main [autofocus]");
    const same = ctx.held === document.activeElement;
    if (ctx.request.method !== "POST") scrollBy(0, same ? top(ctx.held) - ctx.top : 0);
    else if (wanted) wanted.focus();
    else focus(find("#main h1"));
  });

  document.addEventListener("htmx:error", (event) => {
    const { ctx } = event.detail;
    if (ctx?.request.method === "POST" && !ctx.response) show("offline");
  });
})();
