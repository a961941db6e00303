"""A checkout with a box for texts. The order goes through whatever becomes of the box.

    pip install flask
    PREFCENTER_KEY_FILE=/run/secrets/prefcenter flask --app app run

Change PREFS and SITE, put your own snippet into templates/_texts.html, and make a key:
`prefcenter key add checkout --scope write`. Save it in a file that only this program can read.
"""

import json
import os
import urllib.error
import urllib.request
from http.client import HTTPException
from pathlib import Path

from flask import Flask, Response, render_template, request

PREFS = "https://prefs.example.com"
SITE = "shop"

app = Flask(__name__)


@app.get("/checkout")
def checkout() -> str:
    return render_template("checkout.html")


@app.post("/checkout")
def order() -> str:
    # ... take the order here ...
    news = ""
    if request.form.get("sms_consent") == "yes":  # a number alone is no consent
        news = hand_in(request.form["sms_number"], request.form["sms_text_version"])
    return render_template("ordered.html", news=news, form=f"{PREFS}/w/{SITE}")


def hand_in(number: str, text_version: str) -> str:
    """Pass the box on to prefcenter; gives what to say: sent, number, text or later."""
    body = {
        "site": SITE,
        "number": number,
        "consent": True,
        "text_version": text_version,
        "page_url": request.base_url,
        "ip": request.remote_addr,  # the person's, not your proxy's: use ProxyFix behind one
        "user_agent": request.user_agent.string[:1000],
        "source": "checkout",
        "button": "Place order",
    }
    try:
        call = urllib.request.Request(
            f"{PREFS}/api/v1/opt-ins",
            data=json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {key()}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(call, timeout=5):
            return "sent"
    except urllib.error.HTTPError as error:
        with error:
            app.logger.warning("prefcenter answered %s", error.code)
        # Never send it again with the new text_version: the person has not read that text.
        return {422: "number", 409: "text"}.get(error.code, "later")
    except (OSError, HTTPException, KeyError, ValueError) as error:  # also where there is no key
        app.logger.warning("prefcenter did not answer: %s", type(error).__name__)
        return "later"


def key() -> str:
    return Path(os.environ["PREFCENTER_KEY_FILE"]).read_text(encoding="utf-8").strip()


@app.after_request
def headers(response: Response) -> Response:
    """The box sends nothing by itself, so it needs PREFS for its script alone."""
    response.headers["Content-Security-Policy"] = (
        f"default-src 'none'; style-src 'self'; img-src 'self' data:; script-src {PREFS};"
        " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
    return response
