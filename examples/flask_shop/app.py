"""A small shop with the sign-up for texts on one of its pages.

    pip install flask
    flask --app app run

Change PREFS, and put your own snippet into templates/_texts.html. The site must list this
shop's origin: `prefcenter site change shop --origin http://localhost:5000`.
"""

from flask import Flask, Response, render_template

PREFS = "https://prefs.example.com"

app = Flask(__name__)


@app.get("/")
def book() -> str:
    return render_template("book.html")


@app.get("/thanks")
def thanks() -> str:
    """Where the plain form leads back to; with the script people stay on their page."""
    return render_template("thanks.html")


@app.after_request
def headers(response: Response) -> Response:
    """What the widget needs of a strict policy is PREFS, three times."""
    response.headers["Content-Security-Policy"] = (
        f"default-src 'none'; style-src 'self'; img-src 'self' data:; script-src {PREFS};"
        f" connect-src {PREFS}; form-action 'self' {PREFS}; base-uri 'none'; frame-ancestors 'none'"
    )
    # With `no-referrer` or `same-origin` nobody could tell that a plain form came from you.
    response.headers["Referrer-Policy"] = "strict-origin-when-cross-origin"
    return response
