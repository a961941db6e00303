#!/usr/bin/env python3
"""Set up this checkout and run, test or check it. Needs nothing but Python 3.

    python3 dev.py run [--port N] [--data DIR]   the app with demo data, on http://127.0.0.1:8000
    python3 dev.py test [pytest arguments]       every test, with PostgreSQL and a browser
    python3 dev.py lint                          ruff and mypy
    python3 dev.py format                        ruff, which rewrites the files
    python3 dev.py lock [--upgrade]              refresh the hash-locked requirement files
    python3 dev.py prefcenter COMMAND ...        one `prefcenter` command, with the settings of `run`

The first start makes .venv and fills it. On Debian and Ubuntu missing system packages are
installed if that needs no password; otherwise the command to type is printed.
"""

# Standard library only, and no syntax newer than Python 3.9: an old Python must get far enough
# to fetch a newer one. One file, though a long one, so that it runs before anything is set up.
from __future__ import annotations

import argparse
import ctypes
import hashlib
import http.client
import os
import platform
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Callable, NoReturn

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
TOOLS = ROOT / ".tools"
MINIMUM = (3, 11)
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# Chromium without its windows and their settings: opens the same pages three times as fast.
SHELL = "chromium-headless-shell"
STOP_SECONDS = 20
# What `uv pip compile` reads from pyproject.toml for each file. The test set contains the
# runtime set, so installing it satisfies both.
LOCKS = {
    "requirements.txt": ["--extra", "postgres", "--group", "build"],
    "requirements-test.txt": ["--extra", "postgres", "--group", "build", "--group", "test"],
    "requirements-tools.txt": ["--group", "tools"],
}
SATISFIES = {
    "requirements.txt": ("requirements.txt",),
    "requirements-test.txt": ("requirements.txt", "requirements-test.txt"),
}
Run = Callable[[Sequence[str]], None]


class Stop(Exception):
    """Nothing more can be done; the message tells the person what to do."""


def say(line: str) -> None:
    print(line, flush=True)


def quietly(command: Sequence[str]) -> None:
    """Run a command and show its output only if it fails (then Stop is raised)."""
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    )
    if done.returncode:
        say(done.stdout.rstrip())
        raise Stop(f"This failed, see above: {' '.join(command)}")


# --- the machine -----------------------------------------------------------------------------


def root_prefix() -> list[str] | None:
    """Words to put before a command that needs root, or None if it would ask for a password."""
    if not hasattr(os, "geteuid"):
        return None
    if os.geteuid() == 0:
        return []
    sudo = shutil.which("sudo")
    if sudo and subprocess.run([sudo, "-n", "true"], capture_output=True).returncode == 0:
        return [sudo, "-n"]
    return None


def apt_install(packages: Sequence[str], run: Run = quietly) -> bool:
    """Install Debian packages; False where that cannot be done without a person."""
    prefix = root_prefix()
    if prefix is None or shutil.which("apt-get") is None:
        return False
    say(f"Installing with apt: {', '.join(packages)}.")
    apt = [*prefix, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q"]
    apt += ["-o", "DPkg::Lock::Timeout=120"]
    install = [*apt, "install", "-y", "--no-install-recommends", *packages]
    # A minimal system has no package lists yet, and old lists name files that are gone.
    if subprocess.run(install, capture_output=True).returncode:
        run([*apt, "update"])
        run(install)
    return True


def is_debian(os_release: str) -> bool:
    """True for Debian itself; Ubuntu's chromium package is only a pointer to a snap."""
    return "ID=debian" in os_release.splitlines()


def browser_on_path(*, whole: bool = True) -> str | None:
    """The browser for the tests: $CHROMIUM, or the first known name on the PATH.

    Not `whole`: one that only opens pages will do, if there is one.
    """
    names = BROWSERS if whole else (SHELL, *BROWSERS)
    named = os.environ.get("CHROMIUM")
    return named or next(filter(None, map(shutil.which, names)), None)


def missing_browser_packages() -> list[str]:
    """Debian packages that the browser tests lack; Playwright's own node needs libatomic1."""
    missing = [] if browser_on_path() else ["chromium"]
    if not (os.environ.get("CHROMIUM") or shutil.which(SHELL)):
        missing.append(SHELL)
    if not any(Path("/usr/lib").glob("*/libatomic.so.1")):
        missing.append("libatomic1")
    return missing


def install_browser() -> None:
    """Do what can be done; the tests skip, or fail under REQUIRE_BROWSER=1, if it was not enough."""
    release = Path("/etc/os-release")
    if release.is_file() and is_debian(release.read_text()):
        packages = missing_browser_packages()
        if not packages or apt_install(packages):
            return
        if packages == [SHELL] and browser_on_path():
            return  # slower, but it does
        say(f"For the browser tests, as root: apt-get install -y {' '.join(packages)}")
    if not browser_on_path():
        say("Fetching a browser with Playwright.")
        quietly([str(venv_python()), "-m", "playwright", "install", "chromium"])


# --- the virtual environment -----------------------------------------------------------------


def venv_python(venv: Path = VENV) -> Path:
    return venv / "Scripts" / "python.exe" if os.name == "nt" else venv / "bin" / "python"


def succeeds(python: str | Path, code: str) -> bool:
    """Whether that interpreter exists and runs the code without an error."""
    try:
        return subprocess.run([str(python), "-c", code], capture_output=True).returncode == 0
    except OSError:
        return False


def recent_python() -> str | None:
    """An interpreter that is new enough: this one, or a newer one on the PATH."""
    if sys.version_info >= MINIMUM:
        return sys.executable
    for name in ("python3.14", "python3.13", "python3.12", "python3.11"):
        path = shutil.which(name)
        if path and succeeds(path, "import venv"):
            return path
    return None


def make_venv(
    python: str,
    venv: Path,
    *,
    complete: Callable[[str], bool] = lambda python: succeeds(python, "import ensurepip, venv"),
    install: Callable[[Sequence[str]], bool] = apt_install,
    run: Run = quietly,
) -> None:
    """Make a virtual environment; Debian's bare python3 first needs the package python3-venv."""
    if not complete(python) and not (install(["python3-venv"]) and complete(python)):
        raise Stop(
            "This Python cannot make virtual environments. On Debian or Ubuntu run, as root:\n"
            "    apt-get update && apt-get install -y python3-venv\n"
            "then start this command again. Elsewhere install Python from python.org."
        )
    run([python, "-m", "venv", "--clear", str(venv)])


def uv() -> str:
    """Path of uv, which lives in .tools: it locks requirements and fetches newer Pythons."""
    python = venv_python(TOOLS)
    if not succeeds(python, "import pip"):
        make_venv(sys.executable, TOOLS)
    pip_install(python, "-r", str(ROOT / "requirements-tools.txt"), "--require-hashes")
    return str(python.with_name("uv.exe" if os.name == "nt" else "uv"))


def pip_install(python: Path, *arguments: str) -> None:
    quietly([str(python), "-m", "pip", "install", "--disable-pip-version-check", *arguments])


def ensure_venv() -> None:
    """Leave a working .venv with pip and a Python that is new enough."""
    if succeeds(venv_python(), f"import pip, sys; sys.exit(sys.version_info < {MINIMUM})"):
        return
    say("Making the virtual environment .venv.")
    python = recent_python()
    if python:
        make_venv(python, VENV)
    else:
        say(f"Python {platform.python_version()} is too old for the app; uv looks for a newer one.")
        wanted = ">=" + ".".join(map(str, MINIMUM))
        quietly([uv(), "venv", "--clear", "--seed", "--python", wanted, str(VENV)])


def fingerprint(requirements: Path, project: Path) -> str:
    """Changes whenever something has to be installed again."""
    return hashlib.sha256(requirements.read_bytes() + project.read_bytes()).hexdigest()


def is_installed(marker: Path, name: str, digest: str) -> bool:
    return marker.is_file() and f"{name} {digest}" in marker.read_text().splitlines()


def ensure_installed(name: str) -> None:
    """Install one hash-locked file and the command `prefcenter`, unless that was done before."""
    ensure_venv()
    marker = VENV / "installed-by-dev.txt"
    digests = {n: fingerprint(ROOT / n, ROOT / "pyproject.toml") for n in SATISFIES[name]}
    if is_installed(marker, name, digests[name]):
        return
    requirements = ROOT / name
    pins = requirements.read_text().count("==")
    say(f"Installing {pins} packages from {name} (half a minute or so, once).")
    marker.unlink(missing_ok=True)  # whatever happens now, the old state is gone
    pip_install(venv_python(), "--require-hashes", "-r", str(requirements))
    pip_install(venv_python(), "--no-deps", "--no-build-isolation", "-e", str(ROOT))
    marker.write_text("".join(f"{n} {digest}\n" for n, digest in digests.items()))


# --- the commands ----------------------------------------------------------------------------


def development_settings(
    port: int, data: Path | None, environment: Mapping[str, str]
) -> dict[str, str]:
    """The environment of the app: what the person has set stays, the rest is made up."""
    defaults = {
        "ENV": "development",
        "PUBLIC_URL": f"http://127.0.0.1:{port}",
        "DATA_DIR": str(ROOT / "instance"),
        "SMS_BACKEND": "console",
        "BRAND": "Marlow Books",
        "SUPPORT": "help@marlowbooks.example",
        "SENDER": "+12025550100",
        "COUNTRIES": "US,CA,GB,MX,ES",
        # Everybody who tries it out comes from one address and types made-up numbers in a row.
        "IP_TEXTS_PER_HOUR": "5000",
        "IP_TEXTS_PER_DAY": "5000",
        "PREFIX_TEXTS_PER_HOUR": "5000",
        "PREFIX_TEXTS_PER_DAY": "5000",
    }
    settings = dict(environment)
    for name, value in defaults.items():
        full = f"PREFCENTER_{name}"
        if full not in environment and f"{full}_FILE" not in environment:
            settings[full] = value
    if data is not None:
        settings["PREFCENTER_DATA_DIR"] = str(data.resolve())
    return settings


def port_is_free(port: int) -> bool:
    with socket.socket() as probe:
        if os.name == "posix":  # on Windows the same option would allow a second listener
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def app(*arguments: str) -> list[str]:
    return [str(venv_python()), "-m", "prefcenter", *arguments]


def start(command: Sequence[str], settings: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start a server away from the terminal's Ctrl-C, which reaches it through us, once."""
    if sys.platform != "linux":
        return subprocess.Popen(command, env=settings, start_new_session=True)
    prctl, end_with_parent = ctypes.CDLL(None).prctl, 1

    def before_exec() -> None:  # if this script is killed outright, the server stops as well
        prctl(end_with_parent, signal.SIGTERM)

    return subprocess.Popen(command, env=settings, start_new_session=True, preexec_fn=before_exec)


def supervise(command: Sequence[str], settings: Mapping[str, str], tell: Callable[[], bool]) -> int:
    """Run a server until it ends or we are told to stop; the exit code.

    tell() is asked a few times a second until it says True: "the addresses are printed".
    """
    server = None
    try:
        server, told = start(command, settings), False
        while server.poll() is None:
            told = told or tell()
            try:
                server.wait(timeout=None if told else 0.2)
            except subprocess.TimeoutExpired:
                continue
        return server.returncode if server.returncode >= 0 else 128 - server.returncode
    except KeyboardInterrupt:
        return stop(server) if server else 130


def stop(server: subprocess.Popen[bytes]) -> int:
    server.terminate()
    try:
        server.wait(timeout=STOP_SECONDS)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        if os.name == "posix":
            os.killpg(server.pid, signal.SIGKILL)
        else:
            server.kill()
        server.wait()
        say("The server did not stop in time and was ended.")
        return 1
    say("Stopped.")
    return 0


def call_and_read(command: Sequence[str], settings: Mapping[str, str]) -> tuple[int, str]:
    """Run a command and show its lines as they come, but for a password, which is shown later;
    gives its exit code and its output."""
    lines = []
    process = subprocess.Popen(command, env=settings, stdout=subprocess.PIPE, text=True)
    with process:
        for line in process.stdout or ():
            if "one-time password" not in line:
                say(line.rstrip("\n"))
            lines.append(line)
    return process.returncode, "".join(lines)


def how_to_sign_in(demo_output: str) -> str:
    """`prefcenter demo` makes an owner where there is nobody, and prints the password once."""
    made = re.search(r"one-time password (.+)", demo_output)
    if made:
        return f"sign in as owner with the one-time password {made[1]}"
    return "for a new password: python3 dev.py prefcenter admin reset owner"


def tell_addresses(port: int, settings: Mapping[str, str], sign_in: str) -> bool:
    """Print where to look, once the server answers; False until then."""
    if not answers(port):
        return False
    here = f"http://127.0.0.1:{port}"
    say(f"\n  Sign-up page   {here}/")
    if settings.get("PREFCENTER_SMS_BACKEND") == "console":
        say(f"  Texts outbox   {here}/dev/outbox")
        say(f"  Widget         {here}/dev/widget")
    say(f"  Admin          {here}/admin/  {sign_in}")
    say("  Ctrl-C stops the server.\n")
    return True


def run_app(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="dev.py run")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--data", type=Path, metavar="DIR", help="folder for the database")
    options = parser.parse_args(arguments)
    port: int = options.port
    if not port_is_free(port):
        raise Stop(
            f"Port {port} cannot be used, another program may have it. "
            f"Choose another: python3 dev.py run --port {port + 1}"
        )
    try:
        ensure_installed("requirements.txt")
        settings = development_settings(port, options.data, os.environ)
        for step in (["db", "upgrade"], ["demo"]):
            code, output = call_and_read(app(*step), settings)
            if code:
                raise Stop(f"`prefcenter {' '.join(step)}` failed with exit code {code}.")
    except KeyboardInterrupt:
        say("Stopped.")
        return 0
    sign_in = how_to_sign_in(output)
    serve = app("serve", "--port", str(port))
    return supervise(serve, settings, lambda: tell_addresses(port, settings, sign_in))


def become(command: Sequence[str], environment: Mapping[str, str]) -> NoReturn:
    """Go on as another program: signals and the exit code are its own."""
    if os.name == "posix":
        os.execve(command[0], list(command), dict(environment))
    sys.exit(subprocess.call(command, env=environment))


def manage(arguments: Sequence[str]) -> NoReturn:
    ensure_installed("requirements.txt")
    become(app(*arguments), development_settings(8000, None, os.environ))


def test(arguments: Sequence[str]) -> NoReturn:
    ensure_installed("requirements-test.txt")
    try:
        install_browser()
    except Stop as problem:
        say(str(problem))
    os.chdir(ROOT)
    # A process a core and one more, because many tests wait for a browser or a server; a file's
    # tests together, because they share those, in the order of tests/conftest.py.
    processes = str((os.cpu_count() or 1) + 1)
    several = ["-n", processes, "--dist", "loadfile", "--no-loadscope-reorder"]
    become([str(venv_python()), "-m", "pytest", *several, *arguments], os.environ)


def lint(arguments: Sequence[str]) -> int:
    ensure_installed("requirements-test.txt")
    python = str(venv_python())
    checks = (["ruff", "check", "."], ["ruff", "format", "--check", "."], ["mypy"])
    codes = [subprocess.call([python, "-m", *check], cwd=ROOT) for check in checks]
    return int(any(codes))


def format_code(arguments: Sequence[str]) -> int:
    ensure_installed("requirements-test.txt")
    python = str(venv_python())
    steps = (["ruff", "check", "--fix-only", "--select", "I", "."], ["ruff", "format", "."])
    return int(any([subprocess.call([python, "-m", *step], cwd=ROOT) for step in steps]))


def lock(arguments: Sequence[str]) -> int:
    """Lock for every platform, with hashes and without addresses; keeps versions but for --upgrade."""
    parser = argparse.ArgumentParser(prog="dev.py lock")
    parser.add_argument("--upgrade", action="store_true", help="take newer versions")
    upgrade = ["--upgrade"] if parser.parse_args(arguments).upgrade else []
    compiler = [uv(), "pip", "compile", "--universal", "--generate-hashes", "--quiet", *upgrade]
    compiler += ["--custom-compile-command", "python3 dev.py lock"]
    os.chdir(ROOT)
    for name, parts in LOCKS.items():
        source = ["pyproject.toml"] if "--extra" in parts else []
        same = ["--constraint", "requirements.txt"] if name == "requirements-test.txt" else []
        say(f"Locking {name}.")
        quietly([*compiler, *source, *parts, *same, "--output-file", name])
    return 0


COMMANDS: dict[str, Callable[[Sequence[str]], int]] = {
    "run": run_app,
    "test": test,
    "lint": lint,
    "format": format_code,
    "lock": lock,
    "prefcenter": manage,
}


def interrupt(number: int, frame: object) -> NoReturn:
    raise KeyboardInterrupt


def main(arguments: Sequence[str]) -> int:
    if not arguments or arguments[0] not in COMMANDS:
        wants_help = bool(arguments) and arguments[0] in ("-h", "--help")
        print(__doc__, file=sys.stdout if wants_help else sys.stderr)
        return 0 if wants_help else 2
    signal.signal(signal.SIGTERM, interrupt)
    # A shell script starts its background jobs deaf to SIGINT; we listen all the same.
    signal.signal(signal.SIGINT, interrupt)
    try:
        return COMMANDS[arguments[0]](arguments[1:])
    except Stop as problem:
        print(problem, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        say("Stopped.")
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
