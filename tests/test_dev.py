"""dev.py where it can be tried without installing anything: its choices and its words."""

import ast
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

import dev

PIN = re.compile(r"^([a-z0-9._-]+==\S+)", re.MULTILINE)


def pins(name):
    return set(PIN.findall((dev.ROOT / name).read_text()))


def test_an_old_python_can_read_it():
    ast.parse((dev.ROOT / "dev.py").read_text(), feature_version=(3, 9))


def test_it_needs_only_the_standard_library():
    tree = ast.parse((dev.ROOT / "dev.py").read_text())
    roots = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            roots |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            roots.add(node.module.split(".")[0])
    assert roots <= sys.stdlib_module_names


# --- the virtual environment


def test_a_complete_python_makes_the_venv_at_once(tmp_path):
    ran = []
    dev.make_venv(
        "py", tmp_path, complete=lambda _: True, install=lambda _: pytest.fail(), run=ran.append
    )
    assert ran == [["py", "-m", "venv", "--clear", str(tmp_path)]]


def test_debians_bare_python_first_gets_the_missing_package(tmp_path):
    installed, ran = [], []

    def install(packages):
        installed.extend(packages)
        return True

    dev.make_venv(
        "py", tmp_path, complete=lambda _: bool(installed), install=install, run=ran.append
    )

    assert installed == ["python3-venv"]
    assert len(ran) == 1


def test_without_root_the_command_to_type_is_printed(tmp_path):
    with pytest.raises(dev.Stop, match="apt-get install -y python3-venv"):
        dev.make_venv(
            "py",
            tmp_path,
            complete=lambda _: False,
            install=lambda _: False,
            run=lambda _: pytest.fail(),
        )


def test_apt_is_left_alone_without_root(monkeypatch):
    monkeypatch.setattr(dev, "root_prefix", lambda: None)
    assert dev.apt_install(["chromium"], run=lambda _: pytest.fail()) is False


@pytest.mark.parametrize(
    ("release", "expected"),
    [
        ('NAME="Debian GNU/Linux"\nID=debian\n', True),
        ("ID=ubuntu\nID_LIKE=debian\n", False),
        ("ID=fedora\n", False),
    ],
    ids=["debian", "ubuntu", "fedora"],
)
def test_only_debian_has_chromium_as_a_package(release, expected):
    assert dev.is_debian(release) is expected


# --- what is installed


def test_a_changed_requirement_or_project_file_is_installed_again(tmp_path):
    requirements, project = tmp_path / "requirements.txt", tmp_path / "pyproject.toml"
    requirements.write_text("flask==3.1.3\n")
    project.write_text("[project]\n")
    marker = tmp_path / "marker"
    before = dev.fingerprint(requirements, project)

    assert not dev.is_installed(marker, "requirements.txt", before)
    marker.write_text(f"requirements.txt {before}\n")
    assert dev.is_installed(marker, "requirements.txt", before)
    assert not dev.is_installed(marker, "requirements-test.txt", before)

    requirements.write_text("flask==3.1.4\n")
    after = dev.fingerprint(requirements, project)
    assert not dev.is_installed(marker, "requirements.txt", after)


def test_the_test_set_contains_the_runtime_set():
    assert pins("requirements.txt") < pins("requirements-test.txt")


@pytest.mark.parametrize("name", sorted(dev.LOCKS))
def test_every_pin_has_a_hash_and_no_address(name):
    text = (dev.ROOT / name).read_text()
    wanted = [block for block in re.split(r"\n(?=\S)", text) if PIN.match(block)]
    assert wanted
    assert [block for block in wanted if "--hash=sha256:" not in block] == []
    assert "://" not in text


# --- settings of `run`


def test_run_makes_up_what_the_person_has_not_set():
    settings = dev.development_settings(8123, None, {"PATH": "/bin"})

    assert settings["PREFCENTER_ENV"] == "development"
    assert settings["PREFCENTER_PUBLIC_URL"] == "http://127.0.0.1:8123"
    assert settings["PREFCENTER_SMS_BACKEND"] == "console"
    assert settings["PREFCENTER_DATA_DIR"] == str(dev.ROOT / "instance")
    assert settings["PATH"] == "/bin"


def test_run_keeps_what_the_person_has_set():
    own = {"PREFCENTER_SMS_BACKEND": "vonage", "PREFCENTER_BRAND_FILE": "/run/brand"}
    settings = dev.development_settings(8000, None, own)

    assert settings["PREFCENTER_SMS_BACKEND"] == "vonage"
    assert "PREFCENTER_BRAND" not in settings


def test_the_data_argument_is_made_absolute_and_wins(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    own = {"PREFCENTER_DATA_DIR": "/elsewhere"}
    settings = dev.development_settings(8000, Path("here"), own)
    assert settings["PREFCENTER_DATA_DIR"] == str(tmp_path / "here")


# --- serving and stopping


def test_a_busy_port_gets_one_plain_sentence(capfd):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert dev.main(["run", "--port", str(port)]) == 1

    err = capfd.readouterr().err
    assert f"Port {port} cannot be used" in err
    assert f"python3 dev.py run --port {port + 1}" in err
    assert "Traceback" not in err


def test_an_unknown_command_prints_the_help(capsys):
    assert dev.main(["serve"]) == 2
    assert "python3 dev.py run" in capsys.readouterr().err


def supervisor(code):
    """A process that supervises `python -c code` as dev.py does its server."""
    program = (
        "import os, signal, sys, dev\n"
        "signal.signal(signal.SIGTERM, dev.interrupt)\n"
        "signal.signal(signal.SIGINT, dev.interrupt)\n"
        "command = [sys.executable, '-c', sys.argv[1]]\n"
        "def tell(): print('told', flush=True); return True\n"
        "sys.exit(dev.supervise(command, os.environ, tell))"
    )
    return subprocess.Popen(
        [sys.executable, "-c", program, code],
        cwd=dev.ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.skipif(os.name != "posix", reason="signals as on POSIX")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "term"])
def test_a_signal_stops_the_server_with_exit_code_0(number):
    with supervisor("print('up', flush=True); import signal; signal.pause()") as process:
        said = {process.stdout.readline() for _ in range(2)}
        process.send_signal(number)
        out, err = process.communicate(timeout=30)

    assert said == {"told\n", "up\n"}
    assert process.returncode == 0
    assert out == "Stopped.\n"
    assert err == ""


def test_the_exit_code_of_a_server_that_fails_is_passed_on():
    with supervisor("raise SystemExit(3)") as process:
        process.communicate(timeout=30)
    assert process.returncode == 3


# --- who signs in


def test_the_password_of_the_first_owner_is_told_with_the_addresses():
    told = dev.how_to_sign_in(
        "Added 4 categories.\nAdded owner, who signs in with the one-time password ab2c-defg until May\n"
    )
    assert told == "sign in as owner with the one-time password ab2c-defg until May"
    again = dev.how_to_sign_in("There are categories already.\n")
    assert again == "for a new password: python3 dev.py prefcenter admin reset owner"


def test_a_password_is_not_shown_before_the_addresses_are(capfd):
    program = "print('Added it.'); print('the one-time password ab2c-defg'); raise SystemExit(3)"
    code, output = dev.call_and_read([sys.executable, "-c", program], os.environ)
    assert (code, "ab2c-defg" in output) == (3, True)
    assert capfd.readouterr().out == "Added it.\n"
