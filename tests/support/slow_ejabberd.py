"""An ejabberd module that makes each message of a client take longer, as an archive on a loaded disk does.

The time passes in the process of the sender's stream, before the message is filed, routed and counted: what waits
behind it waits in that process's mailbox, where a session that is being resumed meets it. Or it passes in that of the
recipient, where a session that ends leaves what waits.
"""

import shutil
import subprocess
from pathlib import Path

from support.servers import ServerFailed

NAME = "mod_test_delay"
SOURCE = """
-module(mod_test_delay).
-behaviour(gen_mod).
-export([start/2, stop/1, reload/3, depends/2, mod_options/1, mod_doc/0, sent/1, received/1]).

start(Host, _Options) ->
    ejabberd_hooks:add(user_send_packet, Host, ?MODULE, sent, 1),
    ejabberd_hooks:add(user_receive_packet, Host, ?MODULE, received, 1).
stop(Host) ->
    ejabberd_hooks:delete(user_send_packet, Host, ?MODULE, sent, 1),
    ejabberd_hooks:delete(user_receive_packet, Host, ?MODULE, received, 1).
reload(_Host, _New, _Old) -> ok.
depends(_Host, _Options) -> [].
mod_options(_Host) -> [].
mod_doc() -> #{}.

sent(Packet) -> delay(SENT, Packet).
received(Packet) -> delay(RECEIVED, Packet).

delay(MilliSeconds, {Stanza, State}) when element(1, Stanza) =:= message ->
    timer:sleep(MilliSeconds), {Stanza, State};
delay(_, Other) -> Other.
"""


def compiled(folder: Path, sent_ms: int, received_ms: int) -> Path:
    """Compile the module, by how long each message takes that a client sends or receives.

    Gives the folder for Erlang's code path. Raises ServerFailed where there is no compiler.
    """
    compiler = shutil.which("erlc")
    if compiler is None:
        raise ServerFailed("erlc is not installed (Debian: erlang-base)")
    source = folder / f"{NAME}.erl"
    source.write_text(SOURCE.replace("SENT", str(sent_ms)).replace("RECEIVED", str(received_ms)))
    done = subprocess.run([compiler, "-o", str(folder), str(source)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise ServerFailed(f"{source.name} does not compile:\n{done.stdout}{done.stderr}")
    return folder
