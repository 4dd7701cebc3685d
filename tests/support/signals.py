"""What the programs under test inherit: the signals as a login shell would hand them on.

A process keeps "ignored" over exec, so under `nohup` or in the background of a script every program that a test starts
would be deaf to SIGHUP or SIGINT. A handler does not survive exec: the child has the default action, and the run
itself goes on ignoring the signal, as its caller wanted.
"""

import signal

OURS = {signal.SIGPIPE, signal.SIGXFSZ}  # ignored by Python itself, which gives them back to its children


def hand_on_defaults() -> None:
    """Let children have the default action for every signal that our own parent ignores or blocks."""
    for number in signal.valid_signals():
        if signal.getsignal(number) is signal.SIG_IGN and number not in OURS:
            signal.signal(number, lambda _number, _frame: None)
    signal.pthread_sigmask(signal.SIG_SETMASK, set())
