"""An ejabberd module that makes each message of a client take longer, as an archive on a loaded disk does.

The time passes in the process of the sender's stream, before the message is filed, routed and counted: what waits
behind it waits in that process's mailbox, where a session that is being resumed meets it.
"""

import shutil
import subprocess
from pathlib import Path

from support.servers import ServerFailed

NAME = "mod_test_delay"
SOURCE = """
-module(mod_test_delay).
-behaviour(gen_mod).
-export([start/2, stop/1, reload/3, depends/2, mod_options/1, mod_doc/0, delay/1]).

start(Host, _Options) -> ejabberd_hooks:add(user_send_packet, Host, ?MODULE, delay, 1).
stop(Host) -> ejabberd_hooks:delete(user_send_packet, Host, ?MODULE, delay, 1).
reload(_Host, _New, _Old) -> ok.
depends(_Host, _Options) -> [].
mod_options(_Host) -> [].
mod_doc() -> #{}.

delay({Stanza, State}) when element(1, Stanza) =:= message -> timer:sleep(MILLISECONDS), {Stanza, State};
delay(Sent) -> Sent.
"""


def compiled(folder: Path, milliseconds: int) -> Path:
    """Compile the module; the folder for Erlang's code path. Raises ServerFailed where there is no compiler."""
    compiler = shutil.which("erlc")
    if compiler is None:
        raise ServerFailed("erlc is not installed (Debian: erlang-base)")
    source = folder / f"{NAME}.erl"
    source.write_text(SOURCE.replace("MILLISECONDS", str(milliseconds)))
    done = subprocess.run([compiler, "-o", str(folder), str(source)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise ServerFailed(f"{source.name} does not compile:\n{done.stdout}{done.stderr}")
    return folder
