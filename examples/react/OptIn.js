// The opt-in widget as a React component, for React 18 and 19. No JSX, so that it runs without a
// build; your bundler takes it as it is.
//
//   <OptIn server="https://prefs.example.com" site="shop" source="footer" onSent={thank} />
//
// All other properties become attributes of the element: lang, country, theme, heading, source.
import { createElement, useEffect, useRef } from "react";

// Once a page, however many components there are and however often they come and go.
function loadScript(src) {
  if ([...document.scripts].some((script) => script.src === src)) return;
  const script = document.createElement("script");
  script.async = true;
  script.src = src;
  document.head.append(script);
}

export function OptIn({ server, site, onReady, onSubmit, onSent, onError, ...attributes }) {
  const element = useRef(null);
  const latest = useRef({});
  latest.current = { ready: onReady, submit: onSubmit, sent: onSent, error: onError };

  useEffect(() => {
    const node = element.current;
    // React 18 has no properties for custom events. They never carry the number.
    const tell = (event) => latest.current[event.type.slice("prefcenter:".length)]?.(event);
    const types = Object.keys(latest.current).map((name) => `prefcenter:${name}`);
    types.forEach((type) => node.addEventListener(type, tell));
    // Where the script was there before, the element was drawn before anybody could listen.
    if (node.shadowRoot) node.dispatchEvent(new CustomEvent("prefcenter:ready"));
    loadScript(`${server}/w/${site}.js`);
    return () => types.forEach((type) => node.removeEventListener(type, tell));
  }, [server, site]);

  // Shown until the script is there, and for good where something blocks it.
  const link = createElement("a", { href: `${server}/w/${site}` }, "Get texts from us");
  return createElement("prefcenter-optin", { ...attributes, ref: element }, link);
}
