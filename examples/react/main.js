import { StrictMode, createElement, useState } from "react";
import { createRoot } from "react-dom/client";

import { OptIn } from "./OptIn.js";

function Footer() {
  const [isSent, setSent] = useState(false);
  return createElement(
    "footer",
    {},
    createElement(OptIn, {
      server: "https://prefs.example.com",
      site: "shop",
      source: "footer",
      heading: 2,
      onSent: () => setSent(true),
    }),
    isSent && createElement("p", { id: "thanks" }, "Thank you. See you in the shop!"),
  );
}

createRoot(document.getElementById("root")).render(
  createElement(StrictMode, {}, createElement(Footer)),
);
