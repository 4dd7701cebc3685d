"""`pipe`: a stream of stanzas, each checked, sent in order and acknowledged; memory does not grow with the input."""

from __future__ import annotations

import asyncio
import math
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import click

from xmppsh.app.ports import DryRunEnds
from xmppsh.app.produced import produced
from xmppsh.app.sources import opened
from xmppsh.app.while_read import WhileRead
from xmppsh.commands.pipe.input import KINDS, PipeInput, check_kind
from xmppsh.commands.pipe.run import PipeReply, Run
from xmppsh.errors import UsageError, XmppshError
from xmppsh.output.record import Record
from xmppsh.plain import dataclass
from xmppsh.registry.base import command
from xmppsh.registry.params import FILE, JID

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from xmppsh.app.app import App
    from xmppsh.app.console import Console


@dataclass(frozen=True, slots=True)
class PipeSummary(Record):
    """The last line of `pipe`. acked, failed, unconfirmed and not_sent add up to the stanzas that were read."""

    sent: int
    """Stanzas that were written."""
    acked: int
    """How many of them the server has acknowledged, without those that failed afterwards."""
    failed: int
    """How many came back with an error, were never answered, or were lost with a session."""
    unconfirmed: int
    """How many were written, and nobody knows whether they arrived."""
    not_sent: int
    """How many were read and never written."""
    skipped: int
    """How many bad ones --skip-bad has left out."""
    seconds: float
    """How long it took."""

    def text(self) -> str:
        """The line on stderr."""
        rate = self.sent / self.seconds if self.seconds > 0 else 0.0
        more = {"unconfirmed": self.unconfirmed, "not sent": self.not_sent, "skipped": self.skipped}
        told = "".join(f", {what} {count}" for what, count in more.items() if count)
        return f"sent {self.sent}, acked {self.acked}, failed {self.failed}{told}, {rate:.0f} stanzas/s"


def _check(arguments: Mapping[str, Any]) -> None:
    check_kind(arguments["kind"], to=arguments["to"], root=arguments["root"])
    if arguments["rate"] is not None and not math.isfinite(arguments["rate"]):
        raise UsageError(f"--rate: {arguments['rate']} is not a number of stanzas")


def _lacks(arguments: Mapping[str, Any]) -> dict[str, str]:
    return {} if arguments["wants_replies"] else {"pipe-reply": "--replies"}


@command("pipe", check=_check, lacks=_lacks)
@click.argument("file", type=FILE, required=False)
@click.option(
    "--input", "kind", type=click.Choice(KINDS), default="auto", help="xml, json or lines; auto looks at the input."
)
@click.option("--to", type=JID, metavar="JID", help="The recipient for lines, and for json without a `to`.")
@click.option(
    "--window",
    type=click.IntRange(min=1),
    default=10_000,
    metavar="N",
    help="At most N unacknowledged stanzas [10000].",
)
@click.option("--rate", type=click.FloatRange(min=0, min_open=True), metavar="N", help="At most N stanzas per second.")
@click.option("--root", metavar="NAME", help="Another element that may enclose the stanzas, besides stream:stream.")
@click.option("--checkpoint", type=FILE, help="Record the progress in FILE; when run again, continue there.")
@click.option("--skip-bad", is_flag=True, help="Report a bad stanza and continue.")
@click.option("--replies", "wants_replies", is_flag=True, help="Print the answers to the stanzas.")
@click.option("--keep-from", is_flag=True, help="Send a `from` that is not yours; the server may refuse it.")
async def pipe(app: App, file: str | None, **options: Any) -> AsyncIterator[PipeReply | PipeSummary]:
    """Send the stanzas (message, presence, iq) of FILE or stdin, in order.

    Exit code 0: the server acknowledged every stanza, and none bounced. A bad stanza stops it with 65 and names its
    line; what came before is sent. With --input json each line is an object with to, body, type, subject, thread, lang
    and id, or with xml; with --input lines each line is the body of a message.

    \b
    Example:  xmppsh pipe < stanzas.xml
              jq -c '{to, body}' alerts.json | xmppsh pipe
    """
    console = app.console
    run = Run(options["window"], options["rate"], keep_from=options["keep_from"])
    run.skip = _skipping(console, run) if options["skip_bad"] else None
    app.goes_on = True  # what lies in the input is to be sent, whoever reads the replies
    source = WhileRead(await opened(console, file), console.stdout)
    stanzas = PipeInput(source, options["kind"], app.limits, root=options["root"], to=options["to"], skip=run.skip)
    run.source = None if options["checkpoint"] is None else stanzas.source
    checkpoint = None if options["checkpoint"] is None else console.path(options["checkpoint"])

    async def work(emit: Callable[[PipeReply], Awaitable[None]]) -> None:
        run.on_reply = emit if options["wants_replies"] else None
        try:
            async with app.sessions.lasting(checkpoint) as session:
                await run.go(session, stanzas)
        finally:
            run.count()

    ended: BaseException | None = None
    try:
        async with aclosing(produced(work)) as replies:
            async for reply in replies:
                yield reply
        ended = run.verdict()
    except DryRunEnds:
        if (error := run.verdict() if run.skipped else run.first_error) is not None:
            raise error from None  # of the input
        raise
    except XmppshError as error:
        ended = run.told(error)
    except asyncio.CancelledError as error:
        ended = error
    except GeneratorExit:  # stdout does not take the replies
        if app.unprinted is not None:
            console.report(app.unprinted)  # the summary is the last line
        if not app.settings.quiet:
            console.write_error(_summary(run).text() + "\n")
        raise
    finally:
        source.stop()
        await stanzas.close()
    if isinstance(ended, XmppshError):
        console.report(ended)  # the summary is the last line
    summary = _summary(run)
    if app.settings.format == "json" and not console.shutdown.output_closed:
        yield summary
    elif not app.settings.quiet:
        console.write_error(summary.text() + "\n")
    if ended is not None:
        raise ended


def _skipping(console: Console, run: Run) -> Callable[[XmppshError], None]:
    def skip(error: XmppshError) -> None:
        run.skipped += 1
        run.first_error = run.first_error or error
        if console.as_json:
            console.report(error)
        else:
            console.warn(f"left out: {error}")

    return skip


def _summary(run: Run) -> PipeSummary:
    return PipeSummary(
        run.sent, run.acked, run.failed, run.unconfirmed, run.waiting, run.skipped, round(run.seconds, 3)
    )
