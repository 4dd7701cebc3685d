"""Where the password comes from: option, environment or config file, systemd, keyring, ~/.netrc, a prompt."""

from __future__ import annotations

import os
from codecs import BOM_UTF8
from pathlib import Path
from typing import TYPE_CHECKING

from xmppsh.config.paths import home, refuse_readable_by_others
from xmppsh.config.schema import PASSWORDS, Origin
from xmppsh.errors import ConfigError, NoInputError, SaslError, UsageError
from xmppsh.plain import dataclass
from xmppsh.texts import os_reason

if TYPE_CHECKING:
    from collections.abc import Mapping

    from xmppsh.config.schema import Settings
    from xmppsh.model import Jid

COMMAND_S = 60.0  # a password manager may ask its user first
MAX_LINE_BYTES = 16 * 1024
SERVICE = "xmppsh"  # in the keyring
CREDENTIALS = ("xmppsh.password", "password")  # names below systemd's CREDENTIALS_DIRECTORY


@dataclass(frozen=True)
class Password:
    """A password, and who gave it, in words; nobody when it was typed."""

    text: str
    source: str


def find_password(settings: Settings, jid: Jid, env: Mapping[str, str], *, may_prompt: bool) -> Password:
    """The password of `jid`; raises with the name of the missing option when there is no terminal to ask on."""
    return _known(settings, jid, env) or Password(_asked(jid, "XMPPSH_PASSWORD", may_prompt=may_prompt), "")


def _known(settings: Settings, jid: Jid, env: Mapping[str, str]) -> Password | None:
    """The password that somebody has told already."""
    if (name := password_setting(settings)) is not None:
        text = str(settings.password) if name == "password" else _from(settings, name, env)
        return Password(text, settings.source(name))
    if (found := _from_credentials(env)) is not None:
        return Password(found, "CREDENTIALS_DIRECTORY")
    if (found := _from_keyring(jid)) is not None:
        return Password(found, "the keyring")
    if (found := _from_netrc(jid, env)) is not None:
        return Password(found, str(_netrc(env)))
    return None


def first_password(settings: Settings, jid: Jid, env: Mapping[str, str], *, may_prompt: bool) -> str:
    """The password of an account that is to be made: as `find_password`, but what is typed is asked for twice."""
    found = _known(settings, jid, env)
    if found is None and may_prompt:
        return _prompt_twice(jid)
    return (found or find_password(settings, jid, env, may_prompt=False)).text


def next_password(
    jid: Jid, path: Path | None, command: str | None, fd: int | None, env: Mapping[str, str], *, may_prompt: bool
) -> str:
    """Another password for `jid`: of a file, a program, a descriptor, or asked for twice; raises UsageError."""
    given = [name for name, value in (("file", path), ("command", command), ("fd", fd)) if value is not None]
    if len(given) > 1:
        options = ", ".join(f"--new-password-{name}" for name in given)
        raise UsageError("more than one source of the new password is given", hint=f"keep one of {options}")
    if path is not None:
        return _from_file(path, env, instead="--new-password-fd N")
    if command is not None:
        return _from_command(command, "--new-password-command", COMMAND_S)
    if fd is not None:
        return _from_fd(fd)
    if not may_prompt:
        raise UsageError(
            f"{jid.bare}: no new password, and no terminal to ask for it",
            hint="--new-password-file FILE, --new-password-command CMD or --new-password-fd N",
        )
    return _prompt_twice(jid)


def new_password(settings: Settings, jid: Jid, env: Mapping[str, str], *, may_prompt: bool) -> Password:
    """The password of an account that is not known yet: what an option names, else what is typed."""
    settings = settings.without([name for name in PASSWORDS if settings.origin(name) > Origin.OPTION])
    if (name := password_setting(settings)) is not None:
        return Password(_from(settings, name, env), settings.source(name))
    return Password(_asked(jid, "a terminal", may_prompt=may_prompt), "")


def keep_in_keyring(jid: Jid, password: str) -> bool:
    """Keep the password of `jid` in the keyring of this machine; False when there is none."""
    try:
        import keyring
    except ImportError:
        return False  # the extra is not installed
    try:
        keyring.set_password(SERVICE, str(jid.bare), password)
    except keyring.errors.KeyringError:
        return False  # no backend on this machine, or a locked one
    return True


def password_setting(settings: Settings) -> str | None:
    """Which setting gives the password, or tells where it is; raises UsageError when options give more than one."""
    given = [name for name in PASSWORDS if getattr(settings, name) is not None]
    options = [name for name in given if settings.origin(name) is Origin.OPTION]
    if len(options) > 1 and "password" not in options:
        raise UsageError("more than one source of the password is given", hint="keep one of " + _spelled(options))
    # The nearest layer decides which source it is: an option, then the environment, a profile, the file.
    return min(given, key=lambda one: (settings.origin(one), one != "password"), default=None)


def _spelled(names: list[str]) -> str:
    return ", ".join("--" + name.replace("_", "-") for name in names)


def _from(settings: Settings, name: str, env: Mapping[str, str]) -> str:
    if name == "password_file":
        return _from_file(settings.path(name, env) or Path(), env, instead="--password-fd N")
    if name == "password_fd" and settings.password_fd is not None:
        return _from_fd(settings.password_fd)
    limit_s = COMMAND_S if settings.origin("timeout") is Origin.DEFAULT else settings.timeout
    return _from_command(settings.password_command or "", "--password-command", limit_s)


def _from_file(path: Path, env: Mapping[str, str], instead: str) -> str:
    refuse_readable_by_others(path, "a password", env, instead)
    try:
        return _first_line(_beginning(path), str(path))
    except OSError as error:
        raise NoInputError(f"{path}: {os_reason(error)}") from error


def _beginning(path: Path) -> bytes:
    """The first line, and of one that does not end as much as is needed to tell that."""
    with path.open("rb") as file:
        return file.readline(MAX_LINE_BYTES + 1)


def _from_fd(fd: int) -> str:
    try:
        return _first_line(_line_of(fd), f"file descriptor {fd}")
    except (OSError, OverflowError) as error:
        reason = (getattr(error, "strerror", None) or "no such descriptor").lower()
        raise NoInputError(f"file descriptor {fd}: {reason}") from error


def _line_of(fd: int) -> bytes:
    """One line, and not a byte more: what follows may be somebody else's (a message's body on stdin)."""
    line = bytearray()
    while len(line) <= MAX_LINE_BYTES and (byte := os.read(fd, 1)) not in (b"", b"\n"):
        line += byte
    return bytes(line)


def _from_command(command: str, option: str, limit_s: float) -> str:
    from xmppsh.config.program import output_of

    return _first_line(output_of(command, option, limit_s), f"{option} {command!r}")


def _first_line(data: bytes, source: str) -> str:
    first = data.split(b"\n", 1)[0]
    if len(first) > MAX_LINE_BYTES:
        raise ConfigError(f"{source}: the first line is longer than {MAX_LINE_BYTES} bytes: that is no password")
    try:
        line = first.rstrip(b"\r").decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{source}: the password is not UTF-8") from error
    if not line:
        raise ConfigError(f"{source}: the password is empty")
    return line


def _from_credentials(env: Mapping[str, str]) -> str | None:
    """`LoadCredential=xmppsh.password:…` or `password:…` of a systemd unit, which alone can read it."""
    folder = env.get("CREDENTIALS_DIRECTORY", "")
    for path in (Path(folder) / name for name in CREDENTIALS if folder.startswith("/")):
        try:
            return _first_line(_beginning(path), str(path))
        except FileNotFoundError:
            continue
        except OSError as error:
            raise NoInputError(f"{path}: {os_reason(error)}") from error
    return None


def _from_keyring(jid: Jid) -> str | None:
    try:
        import keyring
    except ImportError:
        return None  # the extra is not installed
    try:
        password: str | None = keyring.get_password(SERVICE, str(jid.bare))
        return password
    except keyring.errors.KeyringError:
        return None  # no backend on this machine


def _from_netrc(jid: Jid, env: Mapping[str, str]) -> str | None:
    path = _netrc(env)
    if path is None or not os.path.isfile(path):  # which also says no to a folder that we may not enter
        return None
    import netrc

    try:
        entry = netrc.netrc(path).hosts.get(jid.domainpart)
    except netrc.NetrcParseError as error:
        if path.read_bytes().startswith(BOM_UTF8):  # which nobody sees, and other programs do not take either
            why = "not in the form of netrc: it begins with a byte order mark"
            raise ConfigError(f"{path}: {why}", hint="save it as UTF-8 without one") from None
        # Its own words hold the word that it stumbled over, which may be the password.
        raise ConfigError(f"{path}:{error.lineno}: not in the form of netrc", hint="man 5 netrc") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: not in the form of netrc: it is not UTF-8") from None
    except OSError as error:
        raise ConfigError(f"{path}: {os_reason(error)}") from error
    if entry is None or not entry[2] or entry[0] not in ("", jid.localpart, str(jid.bare)):
        return None
    refuse_readable_by_others(path, "a password", env)
    return entry[2]


def _netrc(env: Mapping[str, str]) -> Path | None:
    if (named := env.get("NETRC", "")).startswith("/"):
        return Path(named)
    below = home(env)
    return None if below is None else below / ".netrc"


def _asked(jid: Jid, otherwise: str, *, may_prompt: bool) -> str:
    if not may_prompt:
        raise SaslError(
            f"{jid.bare}: no password, and no terminal to ask for it",
            hint=f"--password-file FILE, --password-command CMD, --password-fd N or {otherwise}",
        )
    return _prompt(jid, f"Password for {jid.bare}: ")


def _prompt_twice(jid: Jid) -> str:
    password = _prompt(jid, f"New password for {jid.bare}: ")
    if _prompt(jid, "The same again: ") != password:
        raise UsageError("the two passwords differ")
    return password


def _prompt(jid: Jid, question: str) -> str:
    import getpass

    try:
        password = getpass.getpass(question)
    except EOFError:
        raise SaslError(f"{jid.bare}: no password was typed") from None
    if not password:
        raise SaslError(f"{jid.bare}: no password was typed")
    return password
