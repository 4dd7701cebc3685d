"""xmppsh on a machine whose clock is wrong: `python -m support.wrong_clock SECONDS WORDS…` runs it that far ahead."""

import datetime
import runpy
import sys
import time


class Shifted(datetime.datetime):
    """Its now is not ours."""

    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> "Shifted":
        return super().now(tz) + AHEAD


if __name__ == "__main__":
    AHEAD = datetime.timedelta(seconds=float(sys.argv.pop(1)))
    true = time.time
    time.time = lambda: true() + AHEAD.total_seconds()
    datetime.datetime = Shifted  # type: ignore[misc]
    runpy.run_module("xmppsh", run_name="__main__", alter_sys=True)
