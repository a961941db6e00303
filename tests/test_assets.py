"""What a page loads: one inlined style sheet, one script, at most one logo."""

import gzip
from pathlib import Path

import pytest
from flask import Flask

from prefcenter.web import assets, brand

STATIC = Path(__file__).parent.parent / "static"


@pytest.fixture
def page_files(tmp_path):
    (tmp_path / "vendor").mkdir()
    (tmp_path / "site.css").write_text(
        "/* ours */\n" + 2 * ":root {\n --brand: #000000; --edge: #000000; --on-brand: #000000;"
        " --brand-ink: #000000; --tint: #000000;\n}\n"
    )
    (tmp_path / assets.SCRIPTS[0]).write_text("htmx=1;\n")
    (tmp_path / assets.SCRIPTS[1]).write_text("// ours\n  page();\n")
    app = Flask(__name__, static_folder=tmp_path)
    assets.init_app(app, colour="#123456")
    app.register_blueprint(assets.bp)
    return app


def test_the_script_is_one_file_that_may_be_kept_for_ever(page_files):
    with page_files.app_context():
        script = assets.current().script
    with page_files.test_client() as browser, browser.get(script.url) as plain:
        assert plain.data == b"htmx=1;\npage();"
        assert plain.mimetype == "text/javascript"
        assert plain.cache_control.immutable
        assert "Accept-Encoding" in plain.vary


def test_a_browser_that_can_unpack_gets_the_packed_script(page_files):
    with page_files.app_context():
        script = assets.current().script
    headers = {"Accept-Encoding": "gzip, br"}
    with page_files.test_client() as browser, browser.get(script.url, headers=headers) as packed:
        assert packed.headers["Content-Encoding"] == "gzip"
        assert gzip.decompress(packed.data) == script.body


def test_an_address_with_another_hash_is_not_found(page_files):
    with page_files.test_client() as browser, browser.get("/assets/page-0.js") as response:
        assert response.status_code == 404


def test_the_policy_names_the_style_sheet_that_the_page_holds(page_files):
    with page_files.app_context():
        made = assets.current()
    assert made.style_source == assets.source_of(str(made.css))
    assert "ours" not in made.css


def test_a_style_sheet_without_a_brand_token_is_refused():
    with pytest.raises(ValueError, match="--brand"):
        assets.style_sheet(":root { --brand: #000000; }", brand.theme("#123456"))


@pytest.mark.parametrize(("name", "size"), [("logo.gif", 10), ("logo.png", 30_000)])
def test_a_logo_of_another_kind_or_too_large_is_refused(tmp_path, name, size):
    (tmp_path / name).write_bytes(b"x" * size)
    with pytest.raises(ValueError, match="logo"):
        assets.logo_file(tmp_path / name)


def test_a_small_logo_is_served_under_its_hash(tmp_path):
    (tmp_path / "logo.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    logo = assets.logo_file(tmp_path / "logo.svg")
    assert logo.url.startswith("/assets/logo-")
    assert logo.mimetype == "image/svg+xml"


def test_htmx_and_our_lines_weigh_at_most_15_kb():
    """DESIGN budget: 20 KB with the page, of which the page takes 5."""
    script = assets.script([(STATIC / name).read_text("utf-8") for name in assets.SCRIPTS])
    assert len(script.packed) <= 15 * 1024
    assert len((STATIC / "page.js").read_text("utf-8").splitlines()) <= 60


def test_our_lines_need_no_eval_and_send_nothing():
    """SEC-2: no page submits itself."""
    ours = (STATIC / "page.js").read_text("utf-8")
    for word in ("eval", "Function(", "fetch(", "submit(", "click(", "XMLHttpRequest", "innerHTML"):
        assert word not in ours
