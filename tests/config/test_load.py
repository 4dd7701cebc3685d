"""Which layer wins, where a value came from, and what is refused in a config file."""

import os
import stat
from pathlib import Path
from typing import Any

import pytest

from xmppsh.config.load import load
from xmppsh.config.paths import config_file
from xmppsh.config.schema import SETTINGS, Origin, Settings
from xmppsh.config.secrets import password_setting
from xmppsh.errors import ConfigError, UsageError, XmppshError
from xmppsh.model import Jid


class Home:
    """A folder with a config file, and an environment that knows nothing else."""

    def __init__(self, folder: Path) -> None:
        self.env = {"XDG_CONFIG_HOME": str(folder), "HOME": str(folder)}
        self.file = folder / "xmppsh" / "config.toml"

    def write(self, text: str | bytes, mode: int = 0o600) -> None:
        self.file.parent.mkdir(mode=0o700, exist_ok=True)
        self.file.write_bytes(text.encode() if isinstance(text, str) else text)
        self.file.chmod(mode)

    def load(self, options: dict[str, Any] | None = None, **env: str) -> Settings:
        return load(options or {}, {**self.env, **env})


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def test_without_anything_the_defaults_are_in_force(home: Home) -> None:
    settings = home.load()
    assert (settings.tls, settings.connect_timeout, settings.timeout, settings.host) == ("auto", 10.0, 30.0, ())
    assert settings.origin("tls") is Origin.DEFAULT
    assert settings.profile is None


LAYERS = [
    ({"timeout": 1.0}, {"XMPPSH_TIMEOUT": "2"}, "timeout = 4\n[profile.default]\ntimeout = 3", 1.0, Origin.OPTION),
    ({}, {"XMPPSH_TIMEOUT": "2"}, "timeout = 4\n[profile.default]\ntimeout = 3", 2.0, Origin.ENVIRONMENT),
    ({}, {}, "timeout = 4\n[profile.default]\ntimeout = 3", 3.0, Origin.PROFILE),
    ({}, {}, "timeout = 4\n[profile.default]\n[profile.other]\ntimeout = 3", 4.0, Origin.CONFIG_FILE),
    ({"profile": "other"}, {}, "timeout = 4\n[profile.default]\n[profile.other]\ntimeout = 3", 3.0, Origin.PROFILE),
    ({}, {"XMPPSH_PROFILE": "other"}, "[profile.other]\ntimeout = 3", 3.0, Origin.PROFILE),
    ({}, {}, "[profile.other]\ntimeout = 3", 30.0, Origin.DEFAULT),
    ({}, {"XMPPSH_TIMEOUT": ""}, "timeout = 4", 4.0, Origin.CONFIG_FILE),
]


@pytest.mark.parametrize(("options", "env", "text", "value", "origin"), LAYERS)
def test_the_first_layer_that_has_a_value_wins(
    home: Home, options: dict[str, Any], env: dict[str, str], text: str, value: float, origin: Origin
) -> None:
    home.write(text)
    settings = home.load(options, **env)
    assert (settings.timeout, settings.origin("timeout")) == (value, origin)


def test_every_setting_has_an_environment_variable_and_every_one_but_flags_a_text_form(home: Home) -> None:
    samples = {
        "jid": "a@b", "tls": "direct", "host": "a:1 [::1]:2", "pin": "sha256:" + "a" * 64, "password_fd": "3",
        "connect_timeout": "1", "timeout": "2", "format": "json", "color": "never", "verbose": "2",
        "dns": "192.0.2.1,[::1]:5353 ::2", "resolve": "a:1:192.0.2.1", "proxy": "http://a:1", "agent": "no",
    }  # fmt: skip
    names = {setting.name for setting in SETTINGS} - {"profile", "ipv6"}  # -4 and -6 exclude each other
    settings = home.load(**{f"XMPPSH_{name.upper()}": samples.get(name, "1") for name in names})
    assert {settings.origin(name) for name in names} == {Origin.ENVIRONMENT}
    assert home.load(XMPPSH_IPV6="1").origin("ipv6") is Origin.ENVIRONMENT
    assert settings.jid == Jid.parse("a@b")
    assert settings.host == (("a", 1), ("::1", 2))
    assert settings.verbose == 2
    assert settings.insecure is True


@pytest.mark.parametrize(("text", "expected"), [
    ("1", True), ("yes", True), ("0", False), ("no", False), ("False", False), ("OFF", False),
])  # fmt: skip
def test_a_flag_of_the_environment_is_on_or_off(home: Home, text: str, expected: bool) -> None:
    assert home.load(XMPPSH_INSECURE=text).insecure is expected


def test_the_keys_of_the_file_are_the_long_option_names(home: Home) -> None:
    home.write(
        'jid = "juliet@example.org"\nconnect-timeout = 2.5\nhost = ["a:1", "b"]\ninsecure = true\npin = "SHA256:'
        + ":".join(["AB"] * 32)
        + '"\nverbose = 2\n'
    )
    settings = home.load()
    assert (settings.jid, settings.connect_timeout) == (Jid.parse("juliet@example.org"), 2.5)
    assert settings.host == (("a", 1), ("b", None))
    assert settings.pin == ("ab" * 32,)
    assert (settings.insecure, settings.verbose) == (True, 2)


FAULTS = {
    "bad TOML": ("jid = ", "{path}:1: not valid TOML: invalid value"),
    "bad TOML further down": ("timeout = 3\n\nca == 4", "{path}:3: not valid TOML: invalid value, column 5"),
    "bad bytes": (b"timeout = 3\njid = '\xff'", "{path}:2: not valid TOML: byte 0xff is not UTF-8"),
    "text of another encoding": ("jid = 'a@b'".encode("utf-16"), "{path}:1: not valid TOML: byte 0xff is not UTF-8"),
    "more than anybody writes": ("# x\n" * 300_000, "{path} is larger than 1024 KiB"),
    "a key in both spellings": ("host = 'a'\nconnect_timeout = 3\nconnect-timeout = 4", "{path}:3: connect-timeout is"),
    "the second of two keys": ("a = 1\na = 2", "{path}:2: not valid TOML: cannot overwrite a value"),
    "unknown key further down": ("timeout = 3\n\n# jib\njib = 1", "{path}:4: jib is not a setting"),
    "unknown key of a later profile": (
        "jid = 'a@b'\n[profile.work]\njid = 'c@d'\n[profile.default]\n\ntimeout = 'x'",
        "{path}:6: [profile.default] timeout: 'x' is not a number of seconds",
    ),
    "unknown table": ("\n[profiles.work]\njid = 'a@b'", "{path}:2: profiles is not a setting"),
    "unknown key": ("jib = 'a@b'", "{path}:1: jib is not a setting"),
    "unknown key in a profile": ("[profile.default]\njib = 1", "{path}:2: [profile.default] jib is not a setting"),
    "bad value": ("tls = 'maybe'", "{path}:1: tls: 'maybe' is not one of auto, direct, starttls, off"),
    "a list": ("tls = ['auto']", "{path}:1: tls is not a single value"),
    "a table": ("[tls]\na = 1", "{path}:1: tls is not a single value"),
    "true": ("tls = true", "{path}:1: tls does not take true or false"),
    "no flag": ("insecure = 'yes'", "{path}:1: insecure is neither true nor false"),
    "no seconds": ("timeout = 'soon'", "{path}:1: timeout: 'soon' is not a number of seconds"),
    "no span": ("timeout = 0", "{path}:1: timeout: 0 seconds is not a span above zero"),
    "for ever": ("timeout = inf", "{path}:1: timeout: inf seconds is more than 31536000, which is a year"),
    "a number for text": ("jid = 5", "{path}:1: jid is not text"),
    "a number for text in a profile": ("[profile.default]\njid = 5", "{path}:2: [profile.default] jid is not text"),
    "a date for text": ("trace = 2026-01-01", "{path}:1: trace is not text"),
    "a list of numbers": ("host = ['a', 5]", "{path}:1: host is not text"),
    "true in the place of a list": ("host = true", "{path}:1: host is not text"),
    "no proxy": ("proxy = 'foo'", "{path}:1: proxy: this is not the address of a proxy"),
    "no address": ("jid = '@'", "{path}:1: jid: '@' is not an XMPP address: nothing precedes the @"),
    "a bad pin": ("pin = 'md5:00'", "{path}:1: pin: 'md5:00' is not sha256: and 64 hex digits"),
    "a profile that is no table": ("profile = 'default'", "{path}:1: profile is not a table"),
    "a key beside the profiles": ("[profile]\n\ntimeout = 3", "{path}:3: [profile] timeout is not a profile"),
}


@pytest.mark.parametrize(("text", "sentence"), FAULTS.values(), ids=FAULTS)
def test_a_fault_of_the_file_names_the_file_and_the_place(home: Home, text: str | bytes, sentence: str) -> None:
    home.write(text)
    with pytest.raises(ConfigError) as caught:
        home.load()
    assert str(caught.value).startswith(sentence.format(path=home.file))
    assert caught.value.exit_code == 78


@pytest.mark.parametrize("text", ["profile = 5", "profile = 2026-01-01", "profile = {default = 1}"])
def test_a_profile_key_of_any_type_is_a_config_error(home: Home, text: str) -> None:
    home.write(text)
    with pytest.raises(ConfigError):
        home.load()


def test_a_profile_that_is_not_there_is_refused(home: Home) -> None:
    home.write("[profile.work]")
    for settings in ({"profile": "home"}, {}):
        with pytest.raises(ConfigError) as caught:
            home.load(settings, **({} if settings else {"XMPPSH_PROFILE": "home"}))
        assert str(caught.value) == f"{home.file} has no [profile.home]"
        assert caught.value.hint == "xmppsh login JID --as home makes it, or one that is there: work"


def test_a_mistyped_key_is_answered_with_the_right_one(home: Home) -> None:
    home.write("conect-timeout = 3")
    with pytest.raises(ConfigError) as caught:
        home.load()
    assert caught.value.hint == "connect-timeout = …"


@pytest.mark.parametrize(("variable", "text", "sentence"), [
    ("XMPPSH_TIMEOUT", "x", "XMPPSH_TIMEOUT: 'x' is not a number of seconds"),
    ("XMPPSH_JID", "@", "XMPPSH_JID: '@' is not an XMPP address: nothing precedes the @"),
    ("XMPPSH_HOST", "a b:0", "XMPPSH_HOST: '0' is not a port (1 to 65535)"),
    ("XMPPSH_VERBOSE", "-1", "XMPPSH_VERBOSE: '-1' is not a whole number from 0 to 999999999"),
])  # fmt: skip
def test_a_fault_of_the_environment_names_the_variable(home: Home, variable: str, text: str, sentence: str) -> None:
    with pytest.raises(UsageError) as caught:
        home.load(**{variable: text})
    assert str(caught.value) == sentence


IPV4, IPV6 = "ipv4 = true\n", "ipv6 = true\n"
A_PIN = "sha256:" + "a" * 64
SUPERSEDED: dict[str, tuple[dict[str, Any], dict[str, str], str, dict[str, Any]]] = {
    "-6 and XMPPSH_IPV4": ({"ipv6": True}, {"XMPPSH_IPV4": "1"}, "", {"ipv4": False, "ipv6": True}),
    "-4 and ipv6 of the file": ({"ipv4": True}, {}, IPV6, {"ipv4": True, "ipv6": False}),
    "XMPPSH_IPV6 and a profile's ipv4": (
        {}, {"XMPPSH_IPV6": "1"}, "[profile.default]\n" + IPV4, {"ipv4": False, "ipv6": True},
    ),
    "a profile and the file": ({}, {}, IPV4 + "[profile.default]\n" + IPV6, {"ipv4": False, "ipv6": True}),
    "a flag that is off outdoes nothing": ({}, {"XMPPSH_IPV4": "0"}, IPV6, {"ipv4": False, "ipv6": True}),
    "--ca and insecure of the file": ({"ca": "f"}, {}, "insecure = true", {"ca": "f", "insecure": False}),
    "--pin and insecure of the file": ({"pin": ("a",)}, {}, "insecure = true", {"pin": ("a",), "insecure": False}),
    "--insecure and pin of the file": ({"insecure": True}, {}, f"pin = '{A_PIN}'", {"pin": (), "insecure": True}),
    "--ca and pin of the file": ({"ca": "f"}, {}, f"pin = '{A_PIN}'", {"ca": "f", "pin": ()}),
    "a pin and an authority of one layer": ({}, {}, f"pin = '{A_PIN}'\nca = 'f'", {"ca": "f", "pin": ("a" * 64,)}),
    "--password-fd 0 and cert of the file": ({"password_fd": 0}, {}, "cert = 'f'", {"password_fd": 0, "cert": None}),
    "--cert and anonymous of the file": ({"cert": "f"}, {}, "anonymous = true", {"cert": "f", "anonymous": False}),
    "--anonymous and cert of the file": ({"anonymous": True}, {}, "cert = 'f'", {"cert": None, "anonymous": True}),
    "-q and verbose of the file": ({"quiet": True}, {}, "verbose = 2", {"quiet": True, "verbose": 0}),
    "-v and quiet of the file": ({"verbose": 1}, {}, "quiet = true", {"quiet": False, "verbose": 1}),
}  # fmt: skip


@pytest.mark.parametrize(("options", "env", "text", "expected"), SUPERSEDED.values(), ids=SUPERSEDED)
def test_of_settings_that_exclude_each_other_the_nearer_one_is_in_force(
    home: Home, options: dict[str, Any], env: dict[str, str], text: str, expected: dict[str, Any]
) -> None:
    home.write(text)
    settings = home.load(options, **env)
    assert {name: getattr(settings, name) for name in expected} == expected


@pytest.mark.parametrize(("options", "env", "text", "code", "sentence"), [
    ({"ipv4": True, "ipv6": True}, {}, "", 64, "-4 and -6 exclude each other"),
    ({}, {"XMPPSH_IPV4": "1", "XMPPSH_IPV6": "1"}, "", 64, "XMPPSH_IPV4 and XMPPSH_IPV6 exclude each other"),
    ({}, {}, IPV4 + IPV6, 78, "{path}: ipv4 in the config file and ipv6 in the config file exclude each other"),
    ({}, {}, "[profile.default]\n" + IPV4 + IPV6, 78, "{path}: ipv4 in [profile.default] and ipv6 in "),
])  # fmt: skip
def test_both_address_families_of_one_layer_are_refused(
    home: Home, options: dict[str, Any], env: dict[str, str], text: str, code: int, sentence: str
) -> None:
    home.write(text)
    with pytest.raises(XmppshError) as caught:
        home.load(options, **env)
    assert caught.value.exit_code == code
    assert str(caught.value).startswith(sentence.format(path=home.file))


def test_a_number_may_be_written_as_text_too(home: Home) -> None:
    home.write("timeout = '3'\nverbose = '2'\nresume-max = 60\n")
    settings = home.load()
    assert (settings.timeout, settings.verbose, settings.resume_max) == (3.0, 2, 60)


def test_where_a_value_is_from_is_told_by_the_name_it_has_there(home: Home) -> None:
    home.write("host = 'a'\n[profile.work]\nhost = 'b'\n")
    assert home.load({"host": (("c", None),)}).source("host") == "--host"
    assert home.load(XMPPSH_HOST="c").source("host") == "XMPPSH_HOST"
    assert home.load({"profile": "work"}).source("host") == "host in [profile.work]"
    assert home.load().source("host") == "host in the config file"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o666])
@pytest.mark.parametrize("text", ["password = 'x'", "[profile.a]\npassword = 'x'"])
def test_a_config_with_a_password_that_others_can_reach_is_refused(home: Home, text: str, mode: int) -> None:
    home.write(text, mode)
    with pytest.raises(ConfigError) as caught:
        home.load()
    assert str(caught.value).startswith(f"{home.file} holds a password and its mode is {mode:04o}")
    assert caught.value.hint == f"chmod 600 {home.file}, or --password-fd N"


def test_a_config_with_the_password_of_a_proxy_that_others_can_reach_is_refused(home: Home) -> None:
    home.write("proxy = 'socks5h://me:pencil@localhost:1080'", 0o644)
    with pytest.raises(ConfigError) as caught:
        home.load()
    assert str(caught.value).startswith(f"{home.file} holds a proxy's password and its mode is 0644")
    assert caught.value.hint == f"chmod 600 {home.file}, or XMPPSH_PROXY"


def test_a_config_without_a_password_may_be_read_by_all(home: Home) -> None:
    home.write("timeout = 3\npassword-command = 'pass show x'\nproxy = 'http://localhost:1080'", 0o644)
    assert home.load().timeout == 3.0


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_config_that_cannot_be_read_is_refused(home: Home) -> None:
    home.write("timeout = 3", 0o000)
    with pytest.raises(ConfigError, match="permission denied"):
        home.load()


def test_a_folder_in_the_place_of_the_config_is_refused(home: Home) -> None:
    home.file.mkdir(parents=True)
    with pytest.raises(ConfigError, match="is a directory"):
        home.load()


def test_the_config_lives_where_xdg_says() -> None:
    assert config_file({"XDG_CONFIG_HOME": "/a", "HOME": "/b"}) == Path("/a/xmppsh/config.toml")
    assert config_file({"HOME": "/b"}) == Path("/b/.config/xmppsh/config.toml")
    assert config_file({"XDG_CONFIG_HOME": "", "HOME": "/b"}) == Path("/b/.config/xmppsh/config.toml")


def test_a_changed_copy_leaves_the_settings_as_they_are(home: Home) -> None:
    settings = home.load()
    changed = settings.with_values(format="json")
    assert (settings.format, changed.format, changed.origin("format")) == ("text", "json", Origin.OPTION)
    back = changed.without(["format"])
    assert (back.format, back.origin("format")) == ("text", Origin.DEFAULT)
    with pytest.raises(AttributeError):
        _ = settings.nothing


def test_a_number_of_five_thousand_digits_is_a_usage_error(home: Home) -> None:
    with pytest.raises(UsageError):
        home.load(XMPPSH_VERBOSE="9" * 5000)


def test_the_mode_of_a_file_is_not_changed(home: Home) -> None:
    home.write("timeout = 3", 0o644)
    home.load()
    assert stat.S_IMODE(home.file.stat().st_mode) == 0o644


ALICE = 'jid = "alice@a.example"\npassword = "alices"\n'
WORK = '[profile.work]\njid = "carol@c.example"\npassword_command = "cat carols"\n'.replace("_", "-")


@pytest.mark.parametrize(
    ("text", "options", "env", "given"),
    [
        (ALICE, {}, {}, "password"),
        (ALICE, {"jid": Jid.parse("alice@a.example/laptop")}, {}, "password"),
        (ALICE, {"jid": Jid.parse("bob@b.example")}, {}, None),
        (ALICE, {"jid": Jid.parse("bob@a.example")}, {}, None),
        (ALICE, {}, {"XMPPSH_JID": "bob@b.example"}, None),
        (ALICE, {"jid": Jid.parse("bob@b.example")}, {"XMPPSH_PASSWORD": "bobs"}, "password"),
        (ALICE + WORK, {"profile": "work"}, {}, "password_command"),
        (ALICE + WORK, {"profile": "work", "jid": Jid.parse("alice@a.example")}, {}, "password"),
        (ALICE + WORK, {"profile": "work", "jid": Jid.parse("bob@b.example")}, {}, None),
        (ALICE + '[profile.phone]\npassword-file = "phone"\n', {"profile": "phone"}, {}, "password_file"),
        (
            ALICE + '[profile.phone]\npassword-file = "phone"\n',
            {"profile": "phone", "jid": Jid.parse("bob@b.example")},
            {},
            None,
        ),
        ('password = "for any"\n', {"jid": Jid.parse("bob@b.example")}, {}, "password"),
    ],
)
def test_a_password_beside_a_jid_serves_that_account_alone(
    home: Home, text: str, options: dict[str, Any], env: dict[str, str], given: str | None
) -> None:
    home.write(text)
    assert password_setting(home.load(options, **env)) == given


def test_a_certificate_beside_a_jid_is_shown_to_no_other_server(home: Home) -> None:
    home.write('jid = "alice@a.example"\ncert = "alice.pem"\nkey = "alice.key"\n')
    settings = home.load({"jid": Jid.parse("bob@b.example")})
    assert (settings.cert, settings.key) == (None, None)


def test_a_config_that_an_editor_of_windows_wrote_is_read(home: Home) -> None:
    home.write("\ufefftimeout = 3\r\n", 0o600)
    assert home.load().timeout == 3.0
